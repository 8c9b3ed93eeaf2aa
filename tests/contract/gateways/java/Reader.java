// Reads all that comes to a topic from now on.

import static org.apache.kafka.clients.consumer.ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG;
import static org.apache.kafka.clients.consumer.ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public final class Reader implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Consumer<ConsumerRecord<byte[], byte[]>> hear;
    private final Thread listening;

    public Reader(Map<String, Object> connection, String topic, Consumer<ConsumerRecord<byte[], byte[]>> hear) {
        var settings = new HashMap<>(connection);
        settings.put(FETCH_MAX_WAIT_MS_CONFIG, 100);
        settings.put(ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
        this.hear = hear;
        consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        listening = new Thread(this::listen, topic);
        try {
            // Without a group, because each running copy must hear everything.
            var partitions = consumer.partitionsFor(topic, PATIENCE).stream()
                .map(partition -> new TopicPartition(topic, partition.partition())).toList();
            if (partitions.isEmpty()) {
                throw new IllegalStateException("the topic " + topic + " is not there");
            }
            consumer.assign(partitions);
            consumer.seekToEnd(partitions);
            partitions.forEach(consumer::position); // asks the broker now, so that nothing that comes later slips by
        } catch (RuntimeException failure) {
            consumer.close();
            throw failure;
        }
        listening.start();
    }

    private void listen() {
        try (consumer) {
            while (true) {
                consumer.poll(Duration.ofSeconds(1)).forEach(hear);
            }
        } catch (WakeupException end) {
            // close() asked for it
        }
    }

    @Override
    public void close() {
        consumer.wakeup();
        try {
            listening.join();
        } catch (InterruptedException hurry) {
            Thread.currentThread().interrupt();
        }
    }
}
