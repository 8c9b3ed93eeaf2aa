// A live screen: follows how far enrollments are.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.consumer.ConsumerRecord;

public final class Screen implements AutoCloseable {
    private static final long PATIENCE_MILLIS = 30_000;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Map<String, JsonNode> states = new HashMap<>();
    private final Reader reader;

    public Screen(Map<String, Object> connection) {
        reader = new Reader(connection, "enrollment.progressed", this::hear);
    }

    /** Waits until so many lessons of an enrollment are completed; answers its state. */
    public synchronized JsonNode progressed(String enrollmentId, int completed)
            throws InterruptedException, TimeoutException {
        var deadline = System.nanoTime() + PATIENCE_MILLIS * 1_000_000;
        while (true) {
            var state = states.get(enrollmentId);
            if (state != null && state.get("completed").asInt() >= completed) {
                return state;
            }
            var left = (deadline - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                throw new TimeoutException("waited for enrollment " + enrollmentId + " to have " + completed + " completed");
            }
            wait(left);
        }
    }

    private synchronized void hear(ConsumerRecord<byte[], byte[]> progressed) {
        try {
            var state = JSON.readTree(progressed.value());
            states.merge(state.get("enrollmentId").asText(), state, Screen::latest);
            notifyAll();
        } catch (IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }

    private static JsonNode latest(JsonNode one, JsonNode other) {
        return one.get("revision").asLong() >= other.get("revision").asLong() ? one : other;
    }

    @Override
    public void close() {
        reader.close();
    }
}
