// The connection's settings, from the environment.

import static org.apache.kafka.clients.CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG;
import static org.apache.kafka.clients.CommonClientConfigs.SECURITY_PROTOCOL_CONFIG;
import static org.apache.kafka.common.config.SaslConfigs.SASL_JAAS_CONFIG;
import static org.apache.kafka.common.config.SaslConfigs.SASL_MECHANISM;
import static org.apache.kafka.common.config.SslConfigs.SSL_TRUSTSTORE_LOCATION_CONFIG;
import static org.apache.kafka.common.config.SslConfigs.SSL_TRUSTSTORE_TYPE_CONFIG;

import java.util.HashMap;
import java.util.Map;

public final class Connection {
    private Connection() {}

    /** A connection: nothing but BROKER is needed for a broker without protection. */
    public static Map<String, Object> of(Map<String, String> environment, String username, String password) {
        var settings = new HashMap<String, Object>();
        var protocol = environment.getOrDefault("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT");
        settings.put(BOOTSTRAP_SERVERS_CONFIG, environment.get("BROKER"));
        settings.put(SECURITY_PROTOCOL_CONFIG, protocol);
        if (environment.containsKey("KAFKA_CA_FILE")) {
            settings.put(SSL_TRUSTSTORE_TYPE_CONFIG, "PEM");
            settings.put(SSL_TRUSTSTORE_LOCATION_CONFIG, environment.get("KAFKA_CA_FILE"));
        }
        if (protocol.startsWith("SASL")) {
            var mechanism = environment.getOrDefault("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512");
            var login = mechanism.equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
            settings.put(SASL_MECHANISM, mechanism);
            settings.put(SASL_JAAS_CONFIG, "org.apache.kafka.common.security.%s required username=%s password=%s;"
                .formatted(login, quoted(username), quoted(password)));
        }
        return settings;
    }

    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }
}
