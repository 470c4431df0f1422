// Runs SQL statements, one a line, in an embedded Flink in batch mode; rows come out as JSON arrays of texts, one a line,
// after a line "#n" for statement n. Stops at the first error.
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

public class FlinkSql {
  static String quote(Object value) {
    if (value == null) return "null";
    String text = value instanceof byte[] bytes ? "x'" + HexFormat.of().formatHex(bytes) + "'" : value.toString();
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') out.append('\\').append(c);
      else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    }
    return out.append('"').toString();
  }

  public static void main(String[] args) {
    try {
      run(Path.of(args[0]));
      System.out.println("#end");
      System.exit(0);  // Flink's threads would go on.
    } catch (Exception | Error error) {
      error.printStackTrace();
      System.exit(1);
    }
  }

  static void run(Path script) throws Exception {
    Configuration configuration = new Configuration();
    configuration.setString("table.exec.resource.default-parallelism", "1");
    configuration.setString("table.local-time-zone", "UTC");
    configuration.setString("table.dml-sync", "true");
    TableEnvironment flink = TableEnvironment.create(
        EnvironmentSettings.newInstance().inBatchMode().withConfiguration(configuration).build());
    List<String> statements = Files.readAllLines(script);
    for (int i = 0; i < statements.size(); i++) {
      System.out.println("#" + i);
      TableResult result = flink.executeSql(statements.get(i));
      if (!statements.get(i).startsWith("SELECT")) continue;
      try (CloseableIterator<Row> rows = result.collect()) {
        while (rows.hasNext()) {
          Row row = rows.next();
          StringBuilder line = new StringBuilder("[");
          for (int c = 0; c < row.getArity(); c++) line.append(c == 0 ? "" : ", ").append(quote(row.getField(c)));
          System.out.println(line.append("]"));
        }
      }
    }
  }
}
