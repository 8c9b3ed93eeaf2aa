// A gateway: sends commands with a learner's token, and hears the answers on a reply topic of its own.

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.apache.kafka.clients.producer.ProducerConfig.ACKS_CONFIG;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Gateway implements AutoCloseable {
    /** An answer: its type, its data and its headers. */
    public record Reply(String type, JsonNode data, Headers headers) {
        public String header(String name) {
            return new String(headers.lastHeader(name).value(), UTF_8);
        }
    }

    private static final String COMMANDS = "progress.commands";
    private static final int PATIENCE_SECONDS = 30;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final String name;
    private final String replyTopic;
    private final Map<ByteBuffer, CompletableFuture<Reply>> waiting = new ConcurrentHashMap<>();
    private final Reader replies;
    private final KafkaProducer<byte[], byte[]> producer;

    /** A gateway of this name: its reply topic is progress.replies.NAME, made once by the operator. */
    public Gateway(Map<String, Object> connection, String name) {
        this.name = name;
        this.replyTopic = "progress.replies." + name;
        replies = new Reader(connection, replyTopic, this::hear);
        var settings = new HashMap<>(connection);
        settings.put(ACKS_CONFIG, "all");
        producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** Says that a learner finished a lesson, and waits for the answer. */
    public Reply complete(String userId, String value, String token)
            throws ExecutionException, InterruptedException, TimeoutException {
        var id = UUID.randomUUID().toString();
        return complete(userId, value, token, id, id.getBytes(UTF_8));
    }

    /**
     * The same with an id and a correlation id of the caller's. Who it was comes from the token alone; the user's id as
     * the key keeps the learner's commands in order. Without an answer it is safe to send the same command again: it is
     * recorded once.
     */
    public Reply complete(String userId, String value, String token, String id, byte[] correlationId)
            throws ExecutionException, InterruptedException, TimeoutException {
        var command = new ProducerRecord<>(COMMANDS, userId.getBytes(UTF_8), value.getBytes(UTF_8));
        header(command, "ce_specversion", "1.0");
        header(command, "ce_id", id);
        header(command, "ce_type", "lesson.complete.v1");
        header(command, "ce_source", "/gateways/" + name);
        header(command, "ce_time", Instant.now().toString());
        header(command, "content-type", "application/json");
        header(command, "reply-to", replyTopic);
        command.headers().add("correlation-id", correlationId);
        if (token != null) {
            header(command, "authorization", "Bearer " + token);
        }
        var answer = new CompletableFuture<Reply>();
        waiting.put(ByteBuffer.wrap(correlationId), answer);
        try {
            producer.send(command).get(PATIENCE_SECONDS, TimeUnit.SECONDS);
            return answer.get(PATIENCE_SECONDS, TimeUnit.SECONDS); // replies are best effort: never wait for ever
        } catch (TimeoutException late) {
            throw new TimeoutException("waited " + PATIENCE_SECONDS + " s for an answer");
        } finally {
            waiting.remove(ByteBuffer.wrap(correlationId));
        }
    }

    private static void header(ProducerRecord<byte[], byte[]> command, String name, String value) {
        command.headers().add(name, value.getBytes(UTF_8));
    }

    private void hear(ConsumerRecord<byte[], byte[]> reply) {
        var answer = waiting.get(ByteBuffer.wrap(reply.headers().lastHeader("correlation-id").value()));
        if (answer != null) {
            var type = new String(reply.headers().lastHeader("ce_type").value(), UTF_8);
            answer.complete(new Reply(type, read(reply.value()), reply.headers()));
        }
    }

    private static JsonNode read(byte[] value) {
        try {
            return JSON.readTree(value);
        } catch (IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }

    @Override
    public void close() {
        replies.close();
        producer.close();
    }
}
