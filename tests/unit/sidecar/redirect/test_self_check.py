"""The messages of the redirect's self-check."""

import pytest

import contract
from sidecar.errors import RedirectError
from sidecar.log import truncate_termination_message
from sidecar.redirect.self_check import check_results


def test_longest_redirect_error_fits_into_the_termination_message() -> None:
    """The longest message: no address is redirected, each with the longest result."""
    results = dict.fromkeys(contract.METADATA_ADDRESSES, "another server responds (RemoteDisconnected)")

    with pytest.raises(RedirectError) as caught:
        check_results(results, contract.SIDECAR_PORT)

    whole = f"podrole-sidecar: {caught.value}\n"
    assert truncate_termination_message(whole) == whole
    assert all(address in whole for address in contract.METADATA_ADDRESSES)
