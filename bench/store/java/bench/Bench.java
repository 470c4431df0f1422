// Bench.java - one workload of the store benchmark with Paimon's core API (bench/store/README.md).
//
//   java -cp ... bench.Bench WORKLOAD folder=F [rows=N] [buckets=B] [reps=R] [table=NAME] [mode=M]
package bench;

import java.io.File;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.LongUnaryOperator;
import java.util.function.ToLongFunction;
import org.apache.paimon.catalog.Catalog;
import org.apache.paimon.catalog.CatalogContext;
import org.apache.paimon.catalog.CatalogFactory;
import org.apache.paimon.catalog.Identifier;
import org.apache.paimon.data.BinaryRow;
import org.apache.paimon.data.GenericRow;
import org.apache.paimon.data.InternalRow;
import org.apache.paimon.disk.IOManager;
import org.apache.paimon.io.DataFileMeta;
import org.apache.paimon.options.Options;
import org.apache.paimon.predicate.PredicateBuilder;
import org.apache.paimon.reader.RecordReader;
import org.apache.paimon.schema.Schema;
import org.apache.paimon.table.FileStoreTable;
import org.apache.paimon.table.query.LocalTableQuery;
import org.apache.paimon.table.sink.CommitMessage;
import org.apache.paimon.table.sink.StreamTableCommit;
import org.apache.paimon.table.sink.StreamTableWrite;
import org.apache.paimon.table.sink.StreamWriteBuilder;
import org.apache.paimon.table.source.DataSplit;
import org.apache.paimon.table.source.ReadBuilder;
import org.apache.paimon.table.source.Split;
import org.apache.paimon.table.source.StreamTableScan;
import org.apache.paimon.table.source.TableRead;
import org.apache.paimon.types.DataTypes;

public final class Bench {
  private final Map<String, String> arguments;
  private final Catalog catalog;
  private final String scratch;
  private final int rows;
  private final long commitRows;
  private final int buckets;
  private final int reps;
  private final String name;

  private Bench(Map<String, String> arguments) throws Exception {
    this.arguments = arguments;
    String folder = new File(arguments.getOrDefault("folder", "store-bench")).getAbsolutePath();
    scratch = folder + "/scratch";
    rows = number("rows", 5_000_000);
    commitRows = number("commit", rows / 10);
    buckets = number("buckets", 1);
    reps = number("reps", 3);
    name = arguments.getOrDefault("table", "t");
    Options options = new Options();
    options.set("warehouse", new File(folder).toURI().toString());
    catalog = CatalogFactory.createCatalog(CatalogContext.create(options));
    catalog.createDatabase("default", true);
  }

  private int number(String key, int fallback) {
    return Integer.parseInt(arguments.getOrDefault(key, "" + fallback));
  }

  private FileStoreTable open(String table) throws Exception {
    return (FileStoreTable) catalog.getTable(Identifier.create("default", table));
  }

  private FileStoreTable create(String table, boolean keyed, Map<String, String> options)
      throws Exception {
    for (String item : arguments.getOrDefault("opt", "").split(",")) {
      if (item.contains(":")) options.put(item.split(":")[0], item.split(":")[1]);
    }
    Schema.Builder schema =
        Schema.newBuilder()
            .column("id", DataTypes.BIGINT())
            .column("customer_id", DataTypes.BIGINT())
            .column("branch", DataTypes.INT())
            .column("amount", DataTypes.DECIMAL(18, 2))
            .column("balance", DataTypes.DOUBLE())
            .column("status", DataTypes.STRING())
            .column("memo", DataTypes.STRING())
            .column("city", DataTypes.STRING())
            .column("created", DataTypes.TIMESTAMP(3))
            .column("updated", DataTypes.TIMESTAMP(3))
            .column("flag", DataTypes.BOOLEAN())
            .options(options);
    if (keyed) schema.primaryKey("id");
    Identifier identifier = Identifier.create("default", table);
    catalog.dropTable(identifier, true);
    catalog.createTable(identifier, schema.build(), false);
    return open(table);
  }

  private static Map<String, String> options(String... pairs) {
    Map<String, String> map = new HashMap<>();
    for (int i = 0; i < pairs.length; i += 2) map.put(pairs[i], pairs[i + 1]);
    return map;
  }

  /** What a writing run does. */
  private static final class Writing {
    long first;
    long end;
    LongUnaryOperator keys;
    boolean halves;
    boolean fullEach;
    boolean waitEach;
    boolean waitEnd;

    Writing(long first, long end, LongUnaryOperator keys) {
      this.first = first;
      this.end = end;
      this.keys = keys;
    }
  }

  /** One writer per bucket, each in its own thread, and a committer in another, as in Flink. */
  private void write(FileStoreTable table, Writing what) throws Exception {
    boolean keyed = !table.primaryKeys().isEmpty();
    int writers = keyed ? buckets : 1;
    StreamWriteBuilder builder = table.newStreamWriteBuilder();
    List<StreamTableWrite> writes = new ArrayList<>();
    for (int i = 0; i < writers; i++) {
      StreamTableWrite write = builder.newWrite();
      write.withIOManager(IOManager.create(scratch));
      writes.add(write);
    }
    StreamTableCommit commit = builder.newCommit();
    ExecutorService threads = Executors.newFixedThreadPool(writers);
    ExecutorService committer = Executors.newSingleThreadExecutor();
    Future<?> committing = null;
    long identifier = 0;
    for (long low = what.first; low < what.end; low += commitRows, identifier++) {
      long from = low;
      long to = Math.min(low + commitRows, what.end);
      long id = identifier;
      List<Callable<List<CommitMessage>>> tasks = new ArrayList<>();
      for (int i = 0; i < writers; i++) {
        int me = i;
        tasks.add(() -> writeShare(writes.get(me), what, from, to, id, me, writers));
      }
      List<CommitMessage> messages = new ArrayList<>();
      for (Future<List<CommitMessage>> done : threads.invokeAll(tasks)) messages.addAll(done.get());
      if (committing != null) committing.get();
      committing = committer.submit(() -> commit.commit(id, messages));
    }
    if (committing != null) committing.get();
    committer.shutdown();
    if (what.waitEnd) {
      List<CommitMessage> messages = new ArrayList<>();
      for (StreamTableWrite write : writes) messages.addAll(write.prepareCommit(true, identifier));
      commit.commit(identifier, messages);
    }
    for (StreamTableWrite write : writes) write.close();
    commit.close();
    threads.shutdown();
  }

  private static List<CommitMessage> writeShare(
      StreamTableWrite write, Writing what, long from, long to, long id, int me, int writers)
      throws Exception {
    GenericRow row = new GenericRow(Rows.COLUMNS);
    for (long s = from; s < to; s++) {
      long key = what.keys.applyAsLong(s);
      if (writers > 1) {
        row.setField(0, key);
        if (write.getBucket(row) != me) continue;
      }
      Rows.Part half = s % 2 == 0 ? Rows.Part.FIRST_HALF : Rows.Part.SECOND_HALF;
      Rows.fill(row, key, s, what.halves ? half : Rows.Part.ALL);
      write.write(row);
    }
    if (what.fullEach) write.compact(BinaryRow.EMPTY_ROW, me, true);
    return write.prepareCommit(what.waitEach, id);
  }

  private static long[] read(TableRead read, Iterable<Split> splits, ToLongFunction<InternalRow> sum)
      throws Exception {
    long count = 0;
    long total = 0;
    for (Split split : splits) {
      try (RecordReader<InternalRow> reader = read.createReader(split)) {
        RecordReader.RecordIterator<InternalRow> batch;
        while ((batch = reader.readBatch()) != null) {
          InternalRow row;
          while ((row = batch.next()) != null) {
            count++;
            total += sum.applyAsLong(row);
          }
          batch.releaseBatch();
        }
      }
    }
    return new long[] {count, total};
  }

  private void scan(String workload, String table, boolean two) throws Exception {
    FileStoreTable opened = open(table);
    Report report = new Report(workload);
    int readers = number("threads", buckets);
    long count = 0;
    for (int rep = 0; rep < reps; rep++) {
      report.start();
      ReadBuilder builder = opened.newReadBuilder();
      if (two) builder = builder.withProjection(new int[] {1, 3});
      ConcurrentLinkedQueue<Split> queue =
          new ConcurrentLinkedQueue<>(builder.newScan().plan().splits());
      ReadBuilder reading = builder;
      Callable<long[]> task =
          () -> {
            TableRead read = reading.newRead().withIOManager(IOManager.create(scratch));
            long[] sums = new long[2];
            for (Split split = queue.poll(); split != null; split = queue.poll()) {
              long[] part =
                  read(
                      read,
                      Collections.singleton(split),
                      two ? Rows::checksumOfTwo : Rows::checksum);
              sums[0] += part[0];
              sums[1] += part[1];
            }
            return sums;
          };
      ExecutorService threads = Executors.newFixedThreadPool(readers);
      long checksum = 0;
      count = 0;
      for (Future<long[]> done : threads.invokeAll(Collections.nCopies(readers, task))) {
        count += done.get()[0];
        checksum += done.get()[1];
      }
      threads.shutdown();
      report.stop();
      report.fields.put("checksum", checksum);
    }
    report.print(count);
  }

  private LongUnaryOperator updates() {
    return s -> Rows.below(Rows.hash(s, 0), rows);
  }

  private void load() throws Exception {
    int[] shuffled = Rows.shuffled(rows);
    Report report = new Report("W1");
    for (int rep = 0; rep < reps; rep++) {
      FileStoreTable table = create(name + rep, true, options("bucket", "" + buckets));
      Writing what = new Writing(0, rows, s -> shuffled[(int) s]);
      what.waitEnd = true;
      report.start();
      write(table, what);
      report.stop();
    }
    report.print(rows);
  }

  private void update(String workload, boolean writeOnly) throws Exception {
    Report report = new Report(workload);
    for (int rep = 0; rep < reps; rep++) {
      FileStoreTable table = open(name + rep);
      if (writeOnly) table = table.copy(options("write-only", "true"));
      Writing what = new Writing(rows, 2L * rows, updates());
      what.waitEnd = !writeOnly;
      report.start();
      write(table, what);
      report.stop();
    }
    report.print(rows);
  }

  private static List<DataFileMeta> liveFiles(FileStoreTable table, int bucket) {
    List<DataFileMeta> files = new ArrayList<>();
    for (Split split : table.newReadBuilder().newScan().plan().splits()) {
      DataSplit data = (DataSplit) split;
      if (bucket < 0 || data.bucket() == bucket) files.addAll(data.dataFiles());
    }
    return files;
  }

  private void compactFully() throws Exception {
    Report report = new Report("W4");
    long input = 0;
    for (int rep = 0; rep < reps; rep++) {
      FileStoreTable table = open(name + rep);
      input = liveFiles(table, -1).stream().mapToLong(DataFileMeta::rowCount).sum();
      report.start();
      StreamWriteBuilder builder = table.newStreamWriteBuilder();
      List<StreamTableWrite> writes = new ArrayList<>();
      for (int bucket = 0; bucket < buckets; bucket++) {
        StreamTableWrite write = builder.newWrite();
        write.withIOManager(IOManager.create(scratch));
        write.compact(BinaryRow.EMPTY_ROW, bucket, true);
        writes.add(write);
      }
      List<CommitMessage> messages = new ArrayList<>();
      for (StreamTableWrite write : writes) {
        messages.addAll(write.prepareCommit(true, 0));
        write.close();
      }
      try (StreamTableCommit commit = builder.newCommit()) {
        commit.commit(0, messages);
      }
      report.stop();
    }
    report.print(input);
  }

  private void findByScan() throws Exception {
    FileStoreTable table = open(name + 0);
    PredicateBuilder predicates = new PredicateBuilder(table.rowType());
    List<Double> latency = new ArrayList<>();
    Report report = new Report("W5f");
    long found = 0;
    long checksum = 0;
    double begun = Report.now();
    report.start();
    int keys = number("keys", 2000);
    for (int i = 0; i < keys && Report.now() - begun < number("cap_s", 60); i++) {
      long key = Rows.below(Rows.mix(777L + i), rows);
      double started = Report.now();
      ReadBuilder builder = table.newReadBuilder().withFilter(predicates.equal(0, key));
      long[] answer =
          read(
              builder.newRead().executeFilter(),
              builder.newScan().plan().splits(),
              Rows::checksum);
      found += answer[0];
      checksum += answer[1];
      latency.add((Report.now() - started) * 1e3);
    }
    report.stop();
    report.fields.put("found", found);
    report.fields.put("checksum", checksum);
    report.fields.put("p50_ms", Report.rounded(Report.percentile(latency, 0.5)));
    report.fields.put("p99_ms", Report.rounded(Report.percentile(latency, 0.99)));
    report.print(latency.size());
  }

  private void lookUp() throws Exception {
    FileStoreTable table = open(name + 0);
    LocalTableQuery query = table.newLocalTableQuery();
    query.withIOManager(IOManager.create(scratch));
    for (int bucket = 0; bucket < buckets; bucket++) {
      query.refreshFiles(
          BinaryRow.EMPTY_ROW, bucket, Collections.emptyList(), liveFiles(table, bucket));
    }
    StreamTableWrite bucketOf = table.newStreamWriteBuilder().newWrite();
    Report report = new Report("W5l");
    int[] counts = {number("keys", 2000), number("keys", 2000), number("keys", 2000), 200_000};
    for (int pass = 0; pass < counts.length; pass++) { // The first builds the local files.
      List<Double> latency = new ArrayList<>();
      if (pass == 2) report.start();
      for (int i = 0; i < counts[pass]; i++) {
        long key = Rows.below(Rows.mix(777L + i + pass * 1_000_000L), rows);
        GenericRow row = new GenericRow(Rows.COLUMNS);
        row.setField(0, key);
        int bucket = bucketOf.getBucket(row);
        double started = Report.now();
        InternalRow found = query.lookup(BinaryRow.EMPTY_ROW, bucket, GenericRow.of(key));
        if (found != null) Rows.checksum(found);
        latency.add((Report.now() - started) * 1e3);
      }
      if (pass == 2) {
        report.stop();
        report.fields.put("p50_ms", Report.rounded(Report.percentile(latency, 0.5)));
        report.fields.put("p99_ms", Report.rounded(Report.percentile(latency, 0.99)));
      }
    }
    query.close();
    bucketOf.close();
    report.print(counts[2]);
  }

  private void changelog() throws Exception {
    String mode = arguments.getOrDefault("mode", "input");
    int[] shuffled = Rows.shuffled(rows);
    Report report = new Report("W6-" + mode);
    Report reading = new Report("W6r-" + mode);
    long changes = 0;
    for (int rep = 0; rep < reps; rep++) {
      FileStoreTable table =
          create("w6" + rep, true, options("bucket", "" + buckets, "changelog-producer", mode));
      boolean full = mode.equals("full-compaction");
      boolean wait = full || table.coreOptions().prepareCommitWaitCompaction();
      report.start();
      for (Writing what :
          new Writing[] {
            new Writing(0, rows, s -> shuffled[(int) s]), new Writing(rows, 2L * rows, updates())
          }) {
        what.fullEach = full;
        what.waitEach = wait;
        what.waitEnd = true;
        write(table, what);
      }
      report.stop();
      reading.start();
      FileStoreTable stream =
          table.copy(options("scan.mode", "from-snapshot", "scan.snapshot-id", "1"));
      long latest = table.snapshotManager().latestSnapshotId();
      ReadBuilder builder = stream.newReadBuilder();
      StreamTableScan scan = builder.newStreamScan();
      changes = 0;
      long checksum = 0;
      while (scan.checkpoint() == null || scan.checkpoint() <= latest) {
        long[] part = read(builder.newRead(), scan.plan().splits(), Rows::checksum);
        changes += part[0];
        checksum += part[1];
      }
      reading.stop();
      reading.fields.put("checksum", checksum);
    }
    report.print(2L * rows);
    reading.print(changes);
  }

  private void mergeEngine() throws Exception {
    String mode = arguments.getOrDefault("mode", "aggregation");
    int keys = number("keys", 500_000);
    Map<String, String> options = options("bucket", "" + buckets, "merge-engine", mode);
    boolean aggregates = mode.equals("aggregation");
    if (aggregates) {
      for (String each :
          ("customer_id:last_non_null_value branch:max amount:sum balance:sum status:last_value"
                  + " memo:last_non_null_value city:last_value created:min updated:max flag:bool_or")
              .split(" ")) {
        options.put("fields." + each.split(":")[0] + ".aggregate-function", each.split(":")[1]);
      }
    }
    Report report = new Report("W7-" + mode);
    for (int rep = 0; rep < reps; rep++) {
      FileStoreTable table = create("w7" + rep, true, options);
      Writing what = new Writing(0, rows, s -> Rows.below(Rows.hash(s, 0), keys));
      what.halves = !aggregates;
      what.waitEnd = true;
      report.start();
      write(table, what);
      report.stop();
    }
    report.print(rows);
    scan("W7-" + mode + "-scan", "w70", false);
  }

  private void append() throws Exception {
    int[] shuffled = Rows.shuffled(rows);
    Report report = new Report("W8");
    for (int rep = 0; rep < reps; rep++) {
      FileStoreTable table = create("w8" + rep, false, options("bucket", "-1"));
      Writing what = new Writing(0, rows, s -> shuffled[(int) s]);
      what.waitEnd = true;
      report.start();
      write(table, what);
      report.stop();
    }
    report.print(rows);
    scan("W8-scan", "w80", false);
    scan("W8-scan-2cols", "w80", true);
  }

  private void generator() throws Exception {
    int[] shuffled = Rows.shuffled(rows);
    Report report = new Report("GEN");
    for (int rep = 0; rep < reps; rep++) {
      GenericRow row = new GenericRow(Rows.COLUMNS);
      long checksum = 0;
      report.start();
      for (int s = 0; s < rows; s++) {
        Rows.fill(row, shuffled[s], s, Rows.Part.ALL);
        checksum += Rows.checksum(row);
      }
      report.stop();
      report.fields.put("checksum", checksum);
    }
    report.print(rows);
  }

  private void run(String workload) throws Exception {
    switch (workload) {
      case "GEN":
        generator();
        break;
      case "W1":
        load();
        break;
      case "W2":
      case "W2b":
        update(workload, workload.equals("W2b"));
        break;
      case "W3":
      case "W3c":
        scan(workload, name + 0, false);
        break;
      case "W3p":
      case "W3cp":
        scan(workload, name + 0, true);
        break;
      case "W4":
        compactFully();
        break;
      case "W5f":
        findByScan();
        break;
      case "W5l":
        lookUp();
        break;
      case "W6":
        changelog();
        break;
      case "W7":
        mergeEngine();
        break;
      case "W8":
        append();
        break;
      default:
        throw new IllegalArgumentException("no workload " + workload);
    }
  }

  public static void main(String[] words) throws Exception {
    Map<String, String> arguments = new HashMap<>();
    for (int i = 1; i < words.length; i++) {
      int equals = words[i].indexOf('=');
      arguments.put(words[i].substring(0, equals), words[i].substring(equals + 1));
    }
    new Bench(arguments).run(words[0]);
    System.exit(0);
  }
}
