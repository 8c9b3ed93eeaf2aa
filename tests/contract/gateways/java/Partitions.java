// Sends a record for each key (base64, one a line) to TOPIC, for a test that compares where clients put them.

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Base64;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Partitions {
    private Partitions() {}

    public static void main(String[] arguments) throws Exception {
        var connection = Connection.of(System.getenv(), null, null);
        try (var keys = new BufferedReader(new InputStreamReader(System.in, UTF_8));
                var producer = new KafkaProducer<>(connection, new ByteArraySerializer(), new StringSerializer())) {
            for (var key = keys.readLine(); key != null; key = keys.readLine()) {
                producer.send(new ProducerRecord<>(System.getenv("TOPIC"), Base64.getDecoder().decode(key), key));
            }
            producer.flush();
        }
    }
}
