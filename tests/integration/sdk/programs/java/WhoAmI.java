import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Map;
import java.util.stream.Collectors;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.util.VersionInfo;
import software.amazon.awssdk.services.sts.StsClient;
import software.amazon.awssdk.services.sts.model.GetCallerIdentityResponse;

/**
 * Asks STS, through the AWS SDK for Java v2 and without a line of configuration, who it is.
 *
 * <p>It writes its SDK's version, and then one line of JSON for each line that it reads.
 */
public final class WhoAmI {
    public static void main(String[] arguments) throws IOException {
        StsClient client = StsClient.create();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        say(Map.of("version", VersionInfo.SDK_VERSION));
        while (lines.readLine() != null) {
            try {
                GetCallerIdentityResponse identity = client.getCallerIdentity();
                say(Map.of("arn", identity.arn(), "user_id", identity.userId()));
            } catch (SdkException exception) {
                say(Map.of("error", exception.toString()));
            }
        }
    }

    private static void say(Map<String, String> fields) {
        System.out.println(
            fields.entrySet().stream()
                .map(field -> quote(field.getKey()) + ": " + quote(field.getValue()))
                .collect(Collectors.joining(", ", "{", "}")));
    }

    private static String quote(String text) {
        String escaped = text.chars().mapToObj(WhoAmI::escape).collect(Collectors.joining());
        return "\"" + escaped + "\"";
    }

    private static String escape(int character) {
        if (character < ' ' || character == '"' || character == '\\') {
            return String.format("\\u%04x", character);
        }
        return String.valueOf((char) character);
    }
}
