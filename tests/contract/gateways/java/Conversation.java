// One conversation in twelve steps between a gateway and lesson-progress; every answer is compared with the contract.

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;

public final class Conversation {
    private static final List<String> NEEDED = List.of(
        "BROKER", "HTTP_URL", "GATEWAY", "USER_ID", "TOKEN", "COURSE", "LESSON", "NEXT_LESSON",
        "LESSON_OF_ANOTHER_COURSE", "PREVIEW_LESSON");
    private static final Map<String, String> SETTINGS = System.getenv();
    private static final ObjectMapper JSON = new ObjectMapper();

    private final String user = SETTINGS.get("USER_ID");
    private final String token = SETTINGS.get("TOKEN");
    private final String course = SETTINGS.get("COURSE");
    private final String lesson = SETTINGS.get("LESSON");
    private int steps = 0;

    public static void main(String[] arguments) {
        var missing = NEEDED.stream().filter(name -> !SETTINGS.containsKey(name)).toList();
        if (!missing.isEmpty()) {
            System.err.println("Set " + String.join(", ", missing) + "; README.md says what they are.");
            System.exit(2);
        }
        var connection = Connection.of(SETTINGS, SETTINGS.get("KAFKA_USERNAME"), SETTINGS.get("KAFKA_PASSWORD"));
        // Who reads for the screens is somebody else where the broker gives everyone the least rights.
        var screens = Connection.of(
            SETTINGS,
            SETTINGS.getOrDefault("SCREENS_USERNAME", SETTINGS.get("KAFKA_USERNAME")),
            SETTINGS.getOrDefault("SCREENS_PASSWORD", SETTINGS.get("KAFKA_PASSWORD")));
        var conversation = new Conversation();
        try (var gateway = new Gateway(connection, SETTINGS.get("GATEWAY")); var screen = new Screen(screens)) {
            conversation.converse(gateway, screen);
        } catch (Exception | AssertionError failure) {
            var reason = failure.getMessage() == null ? failure.toString() : failure.getMessage();
            System.err.printf("Step %d went otherwise: %s%n", conversation.steps + 1, reason);
            System.exit(1);
        }
    }

    private void converse(Gateway gateway, Screen screen) throws Exception {
        var value = command(lesson);
        var marked = gateway.complete(user, value, token);
        same("lesson.marked.v1", marked.type(), "the answer's type");
        same(false, marked.data().get("alreadyCompleted").asBoolean(), "alreadyCompleted");
        same(lesson, marked.data().get("lessonId").asText(), "lessonId");
        same(course, marked.data().get("courseId").asText(), "courseId");
        done("completed: " + marked.data().get("progressId").asText());

        var again = gateway.complete(user, value, token);
        same(((ObjectNode) marked.data().deepCopy()).put("alreadyCompleted", true), again.data(), "the repeated answer");
        done("repeated: recorded once, at " + Instant.ofEpochMilli(again.data().get("completedAt").asLong()));

        rejected(gateway, 401, "Not authenticated", lesson, value, null);
        rejected(gateway, 401, "Not authenticated", lesson, value, "not-a-token");
        rejected(gateway, 404, "Lesson not found", "no-such-lesson");
        if (SETTINGS.containsKey("LESSON_WITHOUT_MODULE")) {
            rejected(gateway, 404, "Module not found", SETTINGS.get("LESSON_WITHOUT_MODULE"));
        } else {
            done("not asked: LESSON_WITHOUT_MODULE is not set");
        }
        rejected(gateway, 403, "Not enrolled in this course", SETTINGS.get("LESSON_OF_ANOTHER_COURSE"));
        rejected(gateway, 422, "Preview lessons are not tracked", SETTINGS.get("PREVIEW_LESSON"));
        rejected(gateway, 400, "Invalid command", null, "{\"lessonId\": 7}", token);

        var correlation = "réponse/№ 1 📬 \"=;".getBytes(UTF_8);
        var own = gateway.complete(user, value, token, "command-10", correlation);
        same(new String(correlation, UTF_8), own.header("correlation-id"), "correlation-id");
        same("command-10", own.header("ce_causationid"), "ce_causationid");
        done("answered on progress.replies." + SETTINGS.get("GATEWAY") + ", the correlation id byte for byte");

        var enrollment = marked.data().get("enrollmentId").asText();
        var state = screen.progressed(enrollment, 1);
        var total = state.get("total").asInt();
        var percent = 1.0 / total * 100;
        same(1, state.get("completed").asInt(), "completed");
        same(percent, state.get("progressPercent").asDouble(), "progressPercent");
        done("progressed: %s %%, 1 of %d".formatted(percent, total));

        var progress = get("progress");
        same(enrollment, progress.get("enrollmentId").asText(), "enrollmentId");
        same(percent, progress.get("percent").asDouble(), "percent");
        same("[\"" + lesson + "\"]", progress.get("completedLessonIds").toString(), "completedLessonIds");
        same(SETTINGS.get("NEXT_LESSON"), get("next-lesson").get("lessonId").asText(), "the next lesson");
        done("read over HTTP: %s %%, next is %s".formatted(percent, SETTINGS.get("NEXT_LESSON")));
    }

    private void rejected(Gateway gateway, int code, String reason, String lessonId) throws Exception {
        rejected(gateway, code, reason, lessonId, command(lessonId), token);
    }

    private void rejected(Gateway gateway, int code, String reason, String lessonId, String value, String withToken) throws Exception {
        var reply = gateway.complete(user, value, withToken);
        same("command.rejected.v1", reply.type(), "the answer's type");
        var expected = JSON.createObjectNode().put("code", code).put("reason", reason);
        same(lessonId == null ? expected : expected.put("lessonId", lessonId), reply.data(), "the rejection");
        done("rejected: " + code + " " + reason);
    }

    private JsonNode get(String path) throws Exception {
        var address = SETTINGS.get("HTTP_URL") + "/v1/courses/" + URLEncoder.encode(course, UTF_8) + "/" + path;
        var request = HttpRequest.newBuilder(URI.create(address))
            .timeout(Duration.ofSeconds(10)).header("Authorization", "Bearer " + token).build();
        var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofByteArray());
        same(200, answer.statusCode(), "the status of " + path);
        return JSON.readTree(answer.body());
    }

    private static String command(String lessonId) {
        return JSON.createObjectNode().put("lessonId", lessonId).toString();
    }

    private static void same(Object expected, Object found, String what) {
        if (!Objects.equals(expected, found)) {
            throw new AssertionError("%s was %s, and should be %s".formatted(what, found, expected));
        }
    }

    private void done(String what) {
        System.out.printf("%2d %s%n", ++steps, what);
    }
}
