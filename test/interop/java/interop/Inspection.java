// Inspection.java - a table's metadata as Paimon reads it: schema, snapshots, files with statistics.
package interop;

import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.paimon.Snapshot;
import org.apache.paimon.data.BinaryRow;
import org.apache.paimon.data.InternalArray;
import org.apache.paimon.io.DataFileMeta;
import org.apache.paimon.manifest.ManifestEntry;
import org.apache.paimon.operation.FileStoreScan;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.JsonNodeFactory;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.paimon.stats.SimpleStats;
import org.apache.paimon.table.FileStoreTable;
import org.apache.paimon.table.source.ScanMode;
import org.apache.paimon.utils.SerializationUtils;

final class Inspection {
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  private Inspection() {}

  static ObjectNode schema(FileStoreTable table) {
    ObjectNode json = JSON.objectNode();
    ArrayNode fields = json.putArray("fields");
    table.schema().fields().forEach(field -> fields.add(field.id() + " " + field.asSQLString()));
    json.put("id", table.schema().id());
    json.put("highestFieldId", table.schema().highestFieldId());
    json.put("primaryKeys", String.join(",", table.schema().primaryKeys()));
    json.put("partitionKeys", String.join(",", table.schema().partitionKeys()));
    return json;
  }

  /** Each snapshot with the files of its delta and its changelog. */
  static ArrayNode snapshots(FileStoreTable table) throws Exception {
    ArrayNode json = JSON.arrayNode();
    List<Snapshot> all = table.snapshotManager().safelyGetAllSnapshots();
    all.sort(Comparator.comparingLong(Snapshot::id));
    for (Snapshot snapshot : all) {
      ObjectNode one = json.addObject();
      one.put("id", snapshot.id());
      one.put("schemaId", snapshot.schemaId());
      one.put("kind", snapshot.commitKind().toString());
      one.put("user", snapshot.commitUser());
      one.put("identifier", snapshot.commitIdentifier());
      one.put("total", snapshot.totalRecordCount());
      one.put("deltaRows", snapshot.deltaRecordCount());
      Long changelog = snapshot.changelogRecordCount();
      one.put("changelogRows", changelog == null ? 0 : changelog);
      one.put("indexed", snapshot.indexManifest() != null);
      one.set("delta", files(table, snapshot, ScanMode.DELTA));
      one.set("changelog", files(table, snapshot, ScanMode.CHANGELOG));
    }
    return json;
  }

  static ArrayNode liveFiles(FileStoreTable table) {
    Snapshot latest = table.snapshotManager().latestSnapshot();
    return latest == null ? JSON.arrayNode() : files(table, latest, ScanMode.ALL);
  }

  private static ArrayNode files(FileStoreTable table, Snapshot snapshot, ScanMode mode) {
    ArrayNode json = JSON.arrayNode();
    if (mode == ScanMode.CHANGELOG && snapshot.changelogManifestList() == null) return json;
    FileStoreScan scan = table.store().newScan().withSnapshot(snapshot).withKind(mode);
    List<ManifestEntry> entries = scan.plan().files();
    Comparator<ManifestEntry> order =
        Comparator.<ManifestEntry, String>comparing(entry -> bytes(entry.partition()))
            .thenComparingInt(ManifestEntry::bucket)
            .thenComparing(entry -> entry.kind().toString())
            .thenComparingInt(entry -> entry.file().level())
            .thenComparingLong(entry -> entry.file().minSequenceNumber())
            .thenComparing(entry -> bytes(entry.file().minKey()));
    for (ManifestEntry entry : entries.stream().sorted(order).collect(Collectors.toList())) {
      json.add(file(entry));
    }
    return json;
  }

  private static ObjectNode file(ManifestEntry entry) {
    DataFileMeta file = entry.file();
    ObjectNode json = JSON.objectNode();
    json.put("kind", entry.kind().toString());
    json.put("partition", bytes(entry.partition()));
    json.put("bucket", entry.bucket());
    json.put("totalBuckets", entry.totalBuckets());
    json.put("level", file.level());
    json.put("rows", file.rowCount());
    json.put("deletes", file.deleteRowCount().orElse(-1L));
    json.put("sequence", file.minSequenceNumber() + ".." + file.maxSequenceNumber());
    json.put("schemaId", file.schemaId());
    json.put("source", file.fileSource().map(Object::toString).orElse("none"));
    json.put("minKey", bytes(file.minKey()));
    json.put("maxKey", bytes(file.maxKey()));
    json.set("keyStats", stats(file.keyStats()));
    json.set("valueStats", stats(file.valueStats()));
    List<String> columns = file.valueStatsCols();
    json.put("valueStatsColumns", columns == null ? "all" : String.join(",", columns));
    json.put("extraFiles", file.extraFiles().size());
    return json;
  }

  private static ObjectNode stats(SimpleStats stats) {
    ObjectNode json = JSON.objectNode();
    json.put("min", bytes(stats.minValues()));
    json.put("max", bytes(stats.maxValues()));
    ArrayNode nulls = json.putArray("nulls");
    InternalArray counts = stats.nullCounts();
    for (int i = 0; i < counts.size(); i++) {
      if (counts.isNullAt(i)) {
        nulls.addNull();
      } else {
        nulls.add(counts.getLong(i));
      }
    }
    return json;
  }

  private static String bytes(BinaryRow row) {
    return Cells.hex(SerializationUtils.serializeBinaryRow(row));
  }
}
