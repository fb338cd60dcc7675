"""The messages of the redirect's self-check."""

import pytest

import contract
from contract.termination import truncate_termination_message
from sidecar.errors import RedirectError
from sidecar.redirect.self_check import UNTRACKED, check_results


@pytest.mark.parametrize("result", [UNTRACKED, "another server responds (RemoteDisconnected)"])
def test_longest_redirect_error_fits_into_the_termination_message(result: str) -> None:
    """The longest message: no address is redirected, each with the longest result."""
    results = dict.fromkeys(contract.METADATA_ADDRESSES, result)

    with pytest.raises(RedirectError) as caught:
        check_results(results, contract.SIDECAR_PORT)

    whole = f"podrole-sidecar: {caught.value}\n"
    assert truncate_termination_message(whole) == whole
    assert all(address in whole for address in contract.METADATA_ADDRESSES)
