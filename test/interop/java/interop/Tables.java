// Tables.java - makes, writes, compacts, alters and reads tables through Paimon's core API.
package interop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.paimon.AppendOnlyFileStore;
import org.apache.paimon.CoreOptions.ChangelogProducer;
import org.apache.paimon.append.AppendCompactCoordinator;
import org.apache.paimon.append.AppendCompactTask;
import org.apache.paimon.catalog.Catalog;
import org.apache.paimon.catalog.CatalogContext;
import org.apache.paimon.catalog.CatalogFactory;
import org.apache.paimon.catalog.Identifier;
import org.apache.paimon.data.BinaryRow;
import org.apache.paimon.data.GenericRow;
import org.apache.paimon.data.InternalRow;
import org.apache.paimon.disk.IOManager;
import org.apache.paimon.manifest.ManifestEntry;
import org.apache.paimon.operation.BaseAppendFileStoreWrite;
import org.apache.paimon.options.Options;
import org.apache.paimon.predicate.Predicate;
import org.apache.paimon.predicate.PredicateBuilder;
import org.apache.paimon.reader.RecordReader;
import org.apache.paimon.schema.Schema;
import org.apache.paimon.schema.SchemaChange;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.JsonNodeFactory;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.paimon.table.BucketMode;
import org.apache.paimon.table.FileStoreTable;
import org.apache.paimon.table.sink.CommitMessage;
import org.apache.paimon.table.sink.StreamTableWrite;
import org.apache.paimon.table.sink.StreamWriteBuilder;
import org.apache.paimon.table.sink.TableCommitImpl;
import org.apache.paimon.table.source.DataSplit;
import org.apache.paimon.table.source.ReadBuilder;
import org.apache.paimon.table.source.Split;
import org.apache.paimon.table.source.StreamTableScan;
import org.apache.paimon.table.source.TableRead;
import org.apache.paimon.types.DataType;
import org.apache.paimon.types.DataTypeJsonParser;
import org.apache.paimon.types.RowKind;
import org.apache.paimon.types.RowType;
import org.apache.paimon.utils.SerializationUtils;

final class Tables {
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
  private final Catalog catalog;
  private final String scratch;

  Tables(String warehouse, String scratch) throws Exception {
    Options options = new Options();
    options.set("warehouse", warehouse);
    options.set("cache-enabled", "false"); // Another program writes the same tables.
    this.catalog = CatalogFactory.createCatalog(CatalogContext.create(options));
    this.scratch = scratch;
    new java.io.File(scratch).mkdirs();
    catalog.createDatabase("db", true);
  }

  FileStoreTable open(JsonNode request) throws Exception {
    FileStoreTable table =
        (FileStoreTable)
            catalog.getTable(Identifier.create("db", request.get("table").textValue()));
    return request.has("dynamic") ? table.copy(texts(request.get("dynamic"))) : table;
  }

  void create(JsonNode request) throws Exception {
    Schema.Builder schema = Schema.newBuilder();
    for (JsonNode field : request.get("fields")) {
      schema.column(
          field.get("name").textValue(), DataTypeJsonParser.parseDataType(field.get("type")));
    }
    schema.primaryKey(names(request.get("primaryKeys")));
    schema.partitionKeys(names(request.get("partitionKeys")));
    schema.options(texts(request.get("options")));
    catalog.createTable(
        Identifier.create("db", request.get("table").textValue()), schema.build(), false);
  }

  /** Adds, drops, renames or widens one column. */
  void alter(JsonNode request) throws Exception {
    String column = request.get("column").textValue();
    DataType type =
        request.has("type") ? DataTypeJsonParser.parseDataType(request.get("type")) : null;
    SchemaChange change;
    switch (request.get("change").textValue()) {
      case "add":
        change = SchemaChange.addColumn(column, type);
        break;
      case "drop":
        change = SchemaChange.dropColumn(column);
        break;
      case "rename":
        change = SchemaChange.renameColumn(column, request.get("name").textValue());
        break;
      default:
        change = SchemaChange.updateColumnType(column, type);
    }
    Identifier table = Identifier.create("db", request.get("table").textValue());
    catalog.alterTable(table, List.of(change), false);
  }

  /** Writes `rows`, waits for the compaction they cause, commits under `user` and `identifier`. */
  void write(JsonNode request) throws Exception {
    FileStoreTable table = open(request);
    StreamWriteBuilder builder = builder(table, request);
    long identifier = request.get("identifier").longValue();
    try (StreamTableWrite write = builder.newWrite();
        TableCommitImpl commit = (TableCommitImpl) builder.newCommit();
        IOManager disk = IOManager.create(scratch)) {
      write.withIOManager(disk);
      Buckets buckets = new Buckets(table, builder.commitUser());
      // What Flink's FullChangelogStoreSinkWrite does: everything that a commit touches.
      boolean compactsFully =
          table.coreOptions().changelogProducer() == ChangelogProducer.FULL_COMPACTION;
      Map<String, Runnable> compactions = new HashMap<>();
      for (JsonNode json : request.get("rows")) {
        GenericRow row = Cells.parseRow(json, 1, table.rowType());
        row.setRowKind(RowKind.fromShortString(json.get(0).textValue()));
        int bucket = buckets.areDynamic() ? buckets.assign(row) : write.getBucket(row);
        write.write(row, bucket);
        if (compactsFully) {
          BinaryRow partition = write.getPartition(row).copy();
          String name = Cells.hex(SerializationUtils.serializeBinaryRow(partition)) + "/" + bucket;
          compactions.putIfAbsent(name, () -> compactFully(write, partition, bucket));
        }
      }
      compactions.values().forEach(Runnable::run);
      buckets.prepareCommit(identifier);
      commit.commit(identifier, write.prepareCommit(true, identifier));
    }
  }

  private static void compactFully(StreamTableWrite write, BinaryRow partition, int bucket) {
    try {
      write.compact(partition, bucket, true);
    } catch (Exception e) {
      throw new RuntimeException(e);
    }
  }

  /** All runs of all buckets to the top level; files of a table without buckets as they are due. */
  void compact(JsonNode request) throws Exception {
    FileStoreTable table = open(request);
    StreamWriteBuilder builder = builder(table, request);
    if (table.bucketMode() == BucketMode.BUCKET_UNAWARE) {
      compactPacks(table, builder, request.get("identifier").longValue());
      return;
    }
    long identifier = request.get("identifier").longValue();
    try (StreamTableWrite write = builder.newWrite();
        TableCommitImpl commit = (TableCommitImpl) builder.newCommit();
        IOManager disk = IOManager.create(scratch)) {
      write.withIOManager(disk);
      Map<String, ManifestEntry> buckets = new HashMap<>();
      for (ManifestEntry entry : table.store().newScan().plan().files()) {
        byte[] partition = SerializationUtils.serializeBinaryRow(entry.partition());
        buckets.put(Cells.hex(partition) + "/" + entry.bucket(), entry);
      }
      for (ManifestEntry entry : buckets.values()) {
        write.compact(entry.partition(), entry.bucket(), true);
      }
      commit.ignoreEmptyCommit(true); // As in a batch job: nothing but the COMPACT snapshot.
      commit.commit(identifier, write.prepareCommit(true, identifier));
    }
  }

  private static void compactPacks(FileStoreTable table, StreamWriteBuilder builder, long identifier)
      throws Exception {
    BaseAppendFileStoreWrite write =
        ((AppendOnlyFileStore) table.store()).newWrite(builder.commitUser());
    List<CommitMessage> messages = new ArrayList<>();
    for (AppendCompactTask task : new AppendCompactCoordinator(table, false).run()) {
      messages.add(task.doCompact(table, write));
    }
    try (TableCommitImpl commit = (TableCommitImpl) builder.newCommit()) {
      commit.ignoreEmptyCommit(true);
      commit.commit(identifier, messages);
    }
  }

  private static StreamWriteBuilder builder(FileStoreTable table, JsonNode request) {
    return table.newStreamWriteBuilder().withCommitUser(request.get("user").textValue());
  }

  /** The rows of a batch scan: [kind, values...] each. `equal`: [column, value] filters. */
  ArrayNode read(JsonNode request) throws Exception {
    FileStoreTable table = open(request);
    ReadBuilder builder = table.newReadBuilder();
    if (request.has("equal")) {
      int column = table.rowType().getFieldIndex(request.get("equal").get(0).textValue());
      Object value = Cells.parse(request.get("equal").get(1), table.rowType().getTypeAt(column));
      Predicate predicate = new PredicateBuilder(table.rowType()).equal(column, value);
      builder = builder.withFilter(predicate);
    }
    ArrayNode rows = JSON.arrayNode();
    TableRead read = builder.newRead().executeFilter().withIOManager(IOManager.create(scratch));
    for (Split split : builder.newScan().plan().splits()) drain(read, split, table.rowType(), rows);
    return rows;
  }

  private static void drain(TableRead read, Split split, RowType type, ArrayNode rows)
      throws Exception {
    try (RecordReader<InternalRow> reader = read.createReader(split)) {
      for (RecordReader.RecordIterator<InternalRow> batch = reader.readBatch();
          batch != null;
          batch = reader.readBatch()) {
        for (InternalRow row = batch.next(); row != null; row = batch.next()) {
          ArrayNode json = rows.addArray().add(row.getRowKind().shortString());
          json.addAll(Cells.rowOf(row, type));
        }
        batch.releaseBatch();
      }
    }
  }

  /** What a stream read from the first snapshot on shows, by snapshot. */
  ObjectNode changes(JsonNode request) throws Exception {
    FileStoreTable table = open(request);
    Long first = table.snapshotManager().earliestSnapshotId();
    Long last = table.snapshotManager().latestSnapshotId();
    ObjectNode changes = JSON.objectNode();
    if (first == null) return changes;
    Map<String, String> options = new HashMap<>();
    options.put("scan.mode", "from-snapshot");
    options.put("scan.snapshot-id", first.toString());
    ReadBuilder builder = table.copyWithoutTimeTravel(options).newReadBuilder();
    StreamTableScan scan = builder.newStreamScan();
    while (scan.checkpoint() == null || scan.checkpoint() <= last) {
      for (Split split : scan.plan().splits()) {
        String id = String.valueOf(((DataSplit) split).snapshotId());
        ArrayNode rows = changes.has(id) ? (ArrayNode) changes.get(id) : changes.putArray(id);
        drain(builder.newRead(), split, table.rowType(), rows);
      }
    }
    return changes;
  }

  /** Hashes of rows as bucket keys, as FixedBucketRowKeyExtractor computes them. */
  ArrayNode hash(JsonNode request) {
    RowType.Builder builder = RowType.builder();
    int fields = 0;
    for (JsonNode type : request.get("types")) {
      builder.field("f" + fields++, DataTypeJsonParser.parseDataType(type));
    }
    RowType type = builder.build();
    org.apache.paimon.data.serializer.InternalRowSerializer serializer =
        new org.apache.paimon.data.serializer.InternalRowSerializer(type);
    ArrayNode hashes = JSON.arrayNode();
    for (JsonNode row : request.get("rows")) {
      BinaryRow binary = serializer.toBinaryRow(Cells.parseRow(row, 0, type));
      hashes.add(binary.hashCode());
    }
    return hashes;
  }

  static List<String> names(JsonNode json) {
    List<String> names = new ArrayList<>();
    for (JsonNode each : json) names.add(each.textValue());
    return names;
  }

  static Map<String, String> texts(JsonNode json) {
    Map<String, String> texts = new HashMap<>();
    for (Iterator<String> keys = json.fieldNames(); keys.hasNext(); ) {
      String key = keys.next();
      texts.put(key, json.get(key).textValue());
    }
    return texts;
  }

  /** The assigner of a table with dynamic buckets: what Flink runs before its writers. */
  private static final class Buckets {
    private final org.apache.paimon.table.sink.RowKeyExtractor keys;
    private final org.apache.paimon.index.HashBucketAssigner assigner;

    Buckets(FileStoreTable table, String user) {
      boolean dynamic = table.bucketMode() == BucketMode.HASH_DYNAMIC;
      keys = dynamic ? table.createRowKeyExtractor() : null;
      assigner =
          dynamic
              ? new org.apache.paimon.index.HashBucketAssigner(
                  table.snapshotManager(),
                  user,
                  table.store().newIndexFileHandler(),
                  1,
                  1,
                  0,
                  table.coreOptions().dynamicBucketTargetRowNum(),
                  table.coreOptions().dynamicBucketMaxBuckets())
              : null;
    }

    boolean areDynamic() {
      return assigner != null;
    }

    int assign(InternalRow row) throws Exception {
      keys.setRecord(row);
      return assigner.assign(keys.partition(), keys.trimmedPrimaryKey().hashCode());
    }

    void prepareCommit(long identifier) throws Exception {
      if (assigner != null) assigner.prepareCommit(identifier);
    }
  }
}
