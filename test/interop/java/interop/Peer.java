// Peer.java - Paimon's Java library behind the protocol of the interoperation tests.
//
//   java -cp <classes>:<jars> interop.Peer <warehouse> <scratch folder>
//
// A line of JSON in, a line of JSON out: {"do": ..., "table": ...} -> {"result": ...} or
// {"error": ...}. test/interop/peer.cc speaks the same.
package interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

public final class Peer {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private Peer() {}

  public static void main(String[] arguments) throws Exception {
    PrintStream out = new PrintStream(System.out, true, "UTF-8");
    System.setOut(System.err); // Nothing but answers goes to the standard output.
    Tables tables = new Tables(arguments[0], arguments[1]);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      ObjectNode answer = MAPPER.createObjectNode();
      try {
        answer.set("result", answer(tables, MAPPER.readTree(line)));
      } catch (Throwable failure) {
        answer.put("error", describe(failure));
      }
      out.println(MAPPER.writeValueAsString(answer));
    }
    System.exit(0);
  }

  private static JsonNode answer(Tables tables, JsonNode request) throws Exception {
    switch (request.get("do").textValue()) {
      case "create":
        tables.create(request);
        return MAPPER.createObjectNode();
      case "alter":
        tables.alter(request);
        return MAPPER.createObjectNode();
      case "write":
        tables.write(request);
        return MAPPER.createObjectNode();
      case "compact":
        tables.compact(request);
        return MAPPER.createObjectNode();
      case "read":
        return tables.read(request);
      case "changes":
        return tables.changes(request);
      case "hash":
        return tables.hash(request);
      case "schema":
        return Inspection.schema(tables.open(request));
      case "snapshots":
        return Inspection.snapshots(tables.open(request));
      case "files":
        return Inspection.liveFiles(tables.open(request));
      default:
        throw new IllegalArgumentException("no such request: " + request);
    }
  }

  private static String describe(Throwable failure) {
    StringBuilder text = new StringBuilder();
    for (Throwable each = failure; each != null; each = each.getCause()) {
      text.append(each).append(" at ");
      for (int i = 0; i < Math.min(25, each.getStackTrace().length); i++) {
        text.append(each.getStackTrace()[i]).append("; ");
      }
    }
    return text.toString();
  }
}
