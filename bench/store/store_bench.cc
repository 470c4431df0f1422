// store_bench.cc - one workload of the store benchmark over table.h (README.md says what each is).
//
//   store_bench WORKLOAD folder=F [rows=N] [buckets=B] [threads=T] [reps=R] [table=NAME] [mode=M]
//               [opt=key:value,...]
//
// Prints a line of JSON. A workload whose feature the store has not yet says so.
#include <filesystem>
#include <future>
#include <set>
#include <thread>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/main/database.hpp"
#include "limit.h"
#include "measure.h"
#include "meta/binary_row.h"
#include "rows.h"
#include "table/table.h"
#include "table/table_lookup.h"

namespace millrace {

namespace {

using Keys = std::function<int64_t(uint64_t write)>;

class Bench {
 public:
  explicit Bench(const Arguments& arguments)
      : arguments_(arguments),
        folder_(arguments.Text("folder", "store-bench")),
        name_(arguments.Text("table", "t")),
        rows_(arguments.Number("rows", 5'000'000)),
        commit_rows_(arguments.Number("commit", rows_ / 10)),
        buckets_(static_cast<int>(arguments.Number("buckets", 1))),
        threads_(
            static_cast<int>(arguments.Number("threads", std::thread::hardware_concurrency()))),
        reps_(static_cast<int>(arguments.Number("reps", 3))) {}

  void Run(const std::string& workload);

 private:
  struct WriteOptions {
    int64_t first = 0;
    int64_t end = 0;
    RowPart part = RowPart::kAll;
    bool full_each = false;  // A full compaction at each commit.
  };

  TableContext Context() {
    return {*files_, *clock_, random_, *database_.instance, nullptr, &cache_};
  }
  std::string Folder(const std::string& name) const { return folder_ + "/default.db/" + name; }
  std::shared_ptr<const Table> Create(const std::string& name, bool keyed, Options options);
  std::shared_ptr<const Table> Open(const std::string& name, Options dynamic = {});
  void Write(const Table& table, const Keys& keys, const WriteOptions& options);
  uint64_t Scan(const Table& table, bool two, int64_t& found);
  void DescribeFiles(const Table& table, Report& report);

  void Generator();
  void Load();
  void Update(const std::string& workload, bool write_only);
  void ScanRepeatedly(const std::string& workload, const std::string& name, bool two);
  void CompactFully();
  void FindByScan();
  void FindByLookup();
  void Changelog();
  void MergeEngine();
  void Append();

  Keys Updates() const {
    auto rows = static_cast<uint64_t>(rows_);
    return [rows](uint64_t s) { return static_cast<int64_t>(Below(Hash(s, 0), rows)); };
  }

  const Arguments& arguments_;
  const std::string folder_;
  const std::string name_;
  const int64_t rows_;
  const int64_t commit_rows_;
  const int buckets_;
  const int threads_;
  const int reps_;
  std::unique_ptr<FileSystem> files_ = MakeLocalFileSystem();
  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  Random random_;
  duckdb::DuckDB database_{nullptr};
  ObjectCache cache_{64 << 20};  // As the engine's.
};

std::shared_ptr<const Table> Bench::Create(const std::string& name, bool keyed, Options options) {
  std::filesystem::remove_all(Folder(name));
  TableDefinition definition;
  definition.path = {"lake", "default", name};
  definition.columns = RowColumns();
  if (keyed) definition.primary_key = {"id"};
  for (const std::string& item :
       duckdb::StringUtil::Split(arguments_.Text("opt", ""), ',')) {  // key:value
    size_t colon = item.find(':');
    if (colon != std::string::npos) options[item.substr(0, colon)] = item.substr(colon + 1);
  }
  definition.options = std::move(options);
  return Table::Create(Context(), Folder(name), definition);
}

std::shared_ptr<const Table> Bench::Open(const std::string& name, Options dynamic) {
  return Table::Open(Context(), Folder(name), dynamic);
}

/// One writer per bucket, each in its own thread, all committed together.
void Bench::Write(const Table& table, const Keys& keys, const WriteOptions& options) {
  int writers_wanted = table.HasPrimaryKey() ? buckets_ : 1;
  std::vector<std::unique_ptr<TableWriter>> writers;
  std::string user = random_.Uuid();  // Under one name the identifiers would have to go on.
  for (int i = 0; i < writers_wanted; i++) writers.push_back(table.NewWriter(user));
  int64_t identifier = 0;
  std::future<void> committing;  // While the next rows are written.
  for (int64_t low = options.first; low < options.end; low += commit_rows_) {
    int64_t high = std::min(low + commit_rows_, options.end);
    std::vector<Committable> prepared(writers.size());
    auto work = [&](int me) {
      ChangeChunk chunk;
      chunk.Initialize(table.schema().DuckTypes());
      std::vector<int64_t> ids(STANDARD_VECTOR_SIZE);
      std::vector<int32_t> hashes;
      for (int64_t s = low; s < high; s += STANDARD_VECTOR_SIZE) {
        idx_t count = static_cast<idx_t>(std::min<int64_t>(high - s, STANDARD_VECTOR_SIZE));
        for (idx_t i = 0; i < count; i++) ids[i] = keys(static_cast<uint64_t>(s) + i);
        FillRows(chunk, ids, static_cast<uint64_t>(s), count, options.part);
        if (writers_wanted > 1) {
          HashRows({ParseDataType("BIGINT")}, chunk.rows, {0}, hashes);
          SelectionVector mine(count);
          idx_t chosen = 0;
          for (idx_t i = 0; i < count; i++) {
            if (BucketOf(hashes[i], buckets_) == me) mine.set_index(chosen++, i);
          }
          chunk.rows.Slice(mine, chosen);
          chunk.rows.SetCardinality(chosen);
        }
        writers[static_cast<size_t>(me)]->Write(chunk);
      }
      if (options.full_each) writers[static_cast<size_t>(me)]->CompactFully();
      prepared[static_cast<size_t>(me)] = writers[static_cast<size_t>(me)]->PrepareStreamCommit();
    };
    std::vector<std::thread> others;
    for (int me = 1; me < writers_wanted; me++) others.emplace_back(work, me);
    work(0);
    for (std::thread& other : others) other.join();
    for (size_t i = 1; i < prepared.size(); i++) {
      std::move(prepared[i].buckets.begin(), prepared[i].buckets.end(),
                std::back_inserter(prepared[0].buckets));
    }
    if (committing.valid()) committing.get();
    identifier++;
    committing =
        std::async(std::launch::async, [&table, &user, identifier, ready = std::move(prepared[0])] {
          table.Commit(ready, user, identifier);
        });
  }
  if (committing.valid()) committing.get();
  for (auto& writer : writers) {  // Compactions that are still under way.
    Committable rest = writer->PrepareCommit();
    if (!rest.buckets.empty()) table.Commit(rest, user, ++identifier);
  }
}

uint64_t Bench::Scan(const Table& table, bool two, int64_t& found) {
  ScanOptions options;
  options.columns = two ? std::vector<idx_t>{1, 3} : std::vector<idx_t>{};
  for (idx_t i = 0; !two && i < 11; i++) options.columns.push_back(i);
  duckdb::vector<LogicalType> types;
  for (idx_t column : options.columns) types.push_back(table.schema().fields[column].type.ToDuck());
  std::vector<Split> splits = table.PlanScan(options);
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> sum{0};
  std::atomic<int64_t> count{0};
  auto work = [&] {
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types);
    for (size_t i = next++; i < splits.size(); i = next++) {
      auto reader = table.ReadSplit(splits[i], options);
      for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
        sum += Checksum(chunk, two);
        count += static_cast<int64_t>(chunk.size());
      }
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads_; i++) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  found = count;
  return sum;
}

/// Rows and bytes of the live files; splits by key range share files.
struct LiveFileTotals {
  std::set<std::string> names;
  int64_t rows = 0, bytes = 0;

  explicit LiveFileTotals(const std::vector<Split>& splits) {
    for (const Split& split : splits) {
      for (const DataFileMeta& file : split.files) {
        if (!names.insert(file.file_name).second) continue;
        rows += file.row_count;
        bytes += file.file_size;
      }
    }
  }
};

void Bench::DescribeFiles(const Table& table, Report& report) {
  std::vector<Split> splits = table.PlanScan({});
  LiveFileTotals live(splits);
  report.fields()["splits"] = static_cast<int64_t>(splits.size());
  report.fields()["live_files"] = static_cast<int64_t>(live.names.size());
  report.fields()["rows_in_live_files"] = live.rows;
  report.fields()["live_bytes"] = live.bytes;
}

void Bench::Generator() {
  std::vector<uint32_t> shuffled = Shuffled(static_cast<uint32_t>(rows_));
  Report report("GEN");
  duckdb::vector<LogicalType> types;
  for (const ColumnDefinition& column : RowColumns()) types.push_back(column.type.ToDuck());
  for (int rep = 0; rep < reps_; rep++) {
    ChangeChunk chunk;
    chunk.Initialize(types);
    std::vector<int64_t> ids(STANDARD_VECTOR_SIZE);
    uint64_t sum = 0;
    report.Start();
    for (int64_t s = 0; s < rows_; s += STANDARD_VECTOR_SIZE) {
      auto count = static_cast<idx_t>(std::min<int64_t>(rows_ - s, STANDARD_VECTOR_SIZE));
      for (idx_t i = 0; i < count; i++) ids[i] = shuffled[static_cast<size_t>(s) + i];
      FillRows(chunk, ids, static_cast<uint64_t>(s), count);
      sum += Checksum(chunk.rows, false);
    }
    report.Stop();
    report.fields()["checksum"] = static_cast<int64_t>(sum);
  }
  report.Print(rows_);
}

void Bench::Load() {
  std::vector<uint32_t> shuffled = Shuffled(static_cast<uint32_t>(rows_));
  Report report("W1");
  for (int rep = 0; rep < reps_; rep++) {
    auto table = Create(name_ + std::to_string(rep), true, {{"bucket", std::to_string(buckets_)}});
    report.Start();
    Write(*table, [&](uint64_t s) { return shuffled[s]; }, {.first = 0, .end = rows_});
    report.Stop();
    DescribeFiles(*table, report);
  }
  report.Print(rows_);
}

void Bench::Update(const std::string& workload, bool write_only) {
  Report report(workload);
  for (int rep = 0; rep < reps_; rep++) {
    auto table =
        Open(name_ + std::to_string(rep), write_only ? Options{{"write-only", "true"}} : Options{});
    report.Start();
    Write(*table, Updates(), {.first = rows_, .end = 2 * rows_});
    report.Stop();
    DescribeFiles(*table, report);
  }
  report.Print(rows_);
}

void Bench::ScanRepeatedly(const std::string& workload, const std::string& name, bool two) {
  auto table = Open(name);
  Report report(workload);
  int64_t found = 0;
  for (int rep = 0; rep < reps_; rep++) {
    report.Start();
    uint64_t sum = Scan(*table, two, found);
    report.Stop();
    report.fields()["checksum"] = static_cast<int64_t>(sum);
  }
  DescribeFiles(*table, report);
  report.Print(found);
}

void Bench::CompactFully() {
  Report report("W4");
  int64_t input = 0;
  for (int rep = 0; rep < reps_; rep++) {
    auto table = Open(name_ + std::to_string(rep));
    input = LiveFileTotals(table->PlanScan({})).rows;
    report.Start();
    auto writer = table->NewWriter("compact");
    writer->CompactFully();
    table->Commit(writer->PrepareCommit(), "compact", 1);
    report.Stop();
    DescribeFiles(*table, report);
  }
  report.Print(input);
}

void Bench::FindByScan() {
  auto table = Open(name_ + "0");
  auto keys = static_cast<uint64_t>(arguments_.Number("keys", 2000));
  double cap_s = static_cast<double>(arguments_.Number("cap_s", 60));
  ScanOptions options;
  for (idx_t i = 0; i < 11; i++) options.columns.push_back(i);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), table->schema().DuckTypes());
  std::vector<double> latency_ms;
  int64_t found = 0;
  uint64_t sum = 0;
  Report report("W5f");
  report.Start();
  double begun = WallSeconds();
  for (uint64_t i = 0; i < keys && WallSeconds() - begun < cap_s; i++) {
    auto key = static_cast<int64_t>(Below(Mix(777 + i), static_cast<uint64_t>(rows_)));
    double started = WallSeconds();
    options.predicates = {{0, ColumnPredicate::Op::kEqual, Value::BIGINT(key)}};
    for (const Split& split : table->PlanScan(options)) {
      auto reader = table->ReadSplit(split, options);
      for (chunk.Reset(); reader->Next(chunk); chunk.Reset()) {
        chunk.Flatten();
        const auto* ids = duckdb::FlatVector::GetData<int64_t>(chunk.data[0]);
        SelectionVector chosen(1);
        idx_t matches = 0;
        for (idx_t row = 0; row < chunk.size(); row++) {
          if (ids[row] == key) chosen.set_index(matches++, row);
        }
        if (matches == 0) continue;
        chunk.Slice(chosen, matches);
        sum += Checksum(chunk, false);
        found += static_cast<int64_t>(matches);
      }
    }
    latency_ms.push_back((WallSeconds() - started) * 1e3);
  }
  report.Stop();
  report.fields()["found"] = found;
  report.fields()["checksum"] = static_cast<int64_t>(sum);
  report.fields()["p50_ms"] = Percentile(latency_ms, 0.5);
  report.fields()["p99_ms"] = Percentile(latency_ms, 0.99);
  report.Print(static_cast<int64_t>(latency_ms.size()));
}

void Bench::FindByLookup() {
  auto table = Open(name_ + "0");
  auto keys = static_cast<uint64_t>(arguments_.Number("keys", 2000));
  LookupOptions options;
  for (idx_t i = 0; i < 11; i++) options.columns.push_back(i);
  options.folder = folder_ + "/lookup";
  auto lookup = MakeTableLookup(table, options);
  lookup->Refresh();
  DataChunk wanted, rows;
  auto& allocator = duckdb::Allocator::DefaultAllocator();
  wanted.Initialize(allocator, {LogicalType::BIGINT});
  rows.Initialize(allocator, lookup->Types());
  SelectionVector found(STANDARD_VECTOR_SIZE);
  Report report("W5l");
  uint64_t sum = 0;
  for (uint64_t pass = 0; pass < 3; pass++) {  // The first builds the local files.
    std::vector<double> latency_ms;
    if (pass == 2) report.Start();
    for (uint64_t i = 0; i < keys; i++) {
      uint64_t seed = Mix(777 + i + pass * 1'000'000);
      auto key = static_cast<int64_t>(Below(seed, static_cast<uint64_t>(rows_)));
      double started = WallSeconds();
      duckdb::FlatVector::GetData<int64_t>(wanted.data[0])[0] = key;
      wanted.SetCardinality(1);
      if (lookup->Find(wanted, rows, found) > 0) sum += Checksum(rows, false);
      latency_ms.push_back((WallSeconds() - started) * 1e3);
    }
    if (pass != 2) continue;
    report.Stop();
    report.fields()["p50_ms"] = Percentile(latency_ms, 0.5);
    report.fields()["p99_ms"] = Percentile(latency_ms, 0.99);
  }
  report.fields()["sum"] = static_cast<int64_t>(sum);
  report.Print(static_cast<int64_t>(keys));
}

void Bench::Changelog() {
  std::string mode = arguments_.Text("mode", "input");
  std::vector<uint32_t> shuffled = Shuffled(static_cast<uint32_t>(rows_));
  Report report("W6-" + mode), reading("W6r-" + mode);
  int64_t changes = 0;
  for (int rep = 0; rep < reps_; rep++) {
    auto table = Create("w6" + std::to_string(rep), true,
                        {{"bucket", std::to_string(buckets_)}, {"changelog-producer", mode}});
    bool full = mode == "full-compaction";
    report.Start();
    Write(*table, [&](uint64_t s) { return shuffled[s]; },
          {.first = 0, .end = rows_, .full_each = full});
    Write(*table, Updates(), {.first = rows_, .end = 2 * rows_, .full_each = full});
    report.Stop();
    std::vector<idx_t> columns(11);
    for (idx_t i = 0; i < 11; i++) columns[i] = i;
    uint64_t sum = 0;
    changes = 0;
    reading.Start();
    std::vector<Split> splits;
    for (int64_t id = table->EarliestSnapshotId().value_or(1);; id++) {
      std::optional<SnapshotChanges> planned = table->PlanChanges(id);
      if (!planned) break;
      std::move(planned->splits.begin(), planned->splits.end(), std::back_inserter(splits));
    }
    table->ReadChanges(splits, columns, [&](ChangeChunk& chunk) {
      changes += static_cast<int64_t>(chunk.size());
      sum += Checksum(chunk.rows, false);
    });
    reading.Stop();
    reading.fields()["checksum"] = static_cast<int64_t>(sum);
  }
  report.Print(2 * rows_);
  reading.Print(changes);
}

void Bench::MergeEngine() {
  std::string mode = arguments_.Text("mode", "aggregation");
  auto keys = static_cast<uint64_t>(arguments_.Number("keys", 500'000));
  Options options = {{"bucket", std::to_string(buckets_)}, {"merge-engine", mode}};
  bool aggregates = mode == "aggregation";
  if (aggregates) {
    for (auto [column, function] : {std::pair("customer_id", "last_non_null_value"),
                                    {"branch", "max"},
                                    {"amount", "sum"},
                                    {"balance", "sum"},
                                    {"status", "last_value"},
                                    {"memo", "last_non_null_value"},
                                    {"city", "last_value"},
                                    {"created", "min"},
                                    {"updated", "max"},
                                    {"flag", "bool_or"}}) {
      options[std::string("fields.") + column + ".aggregate-function"] = function;
    }
  }
  Report report("W7-" + mode);
  for (int rep = 0; rep < reps_; rep++) {
    auto table = Create("w7" + std::to_string(rep), true, options);
    report.Start();
    Write(*table, [&](uint64_t s) { return static_cast<int64_t>(Below(Hash(s, 0), keys)); },
          {.first = 0,
           .end = rows_,
           .part = aggregates ? RowPart::kAll : RowPart::kEvenWritesFirstHalf});
    report.Stop();
    DescribeFiles(*table, report);
  }
  report.Print(rows_);
  ScanRepeatedly("W7-" + mode + "-scan", "w70", false);
}

void Bench::Append() {
  std::vector<uint32_t> shuffled = Shuffled(static_cast<uint32_t>(rows_));
  Report report("W8");
  for (int rep = 0; rep < reps_; rep++) {
    auto table = Create("w8" + std::to_string(rep), false, {{"bucket", "-1"}});
    report.Start();
    Write(*table, [&](uint64_t s) { return shuffled[s]; }, {.first = 0, .end = rows_});
    report.Stop();
    DescribeFiles(*table, report);
  }
  report.Print(rows_);
  ScanRepeatedly("W8-scan", "w80", false);
  ScanRepeatedly("W8-scan-2cols", "w80", true);
}

void Bench::Run(const std::string& workload) {
  if (workload == "GEN") return Generator();
  if (workload == "W1") return Load();
  if (workload == "W2" || workload == "W2b") return Update(workload, workload == "W2b");
  if (workload == "W3" || workload == "W3c") return ScanRepeatedly(workload, name_ + "0", false);
  if (workload == "W3p" || workload == "W3cp") return ScanRepeatedly(workload, name_ + "0", true);
  if (workload == "W4") return CompactFully();
  if (workload == "W5f") return FindByScan();
  if (workload == "W5l") return FindByLookup();
  if (workload == "W6") return Changelog();
  if (workload == "W7") return MergeEngine();
  if (workload == "W8") return Append();
  if (workload == "LIMIT") return MeasureLimit(*database_.instance, folder_, rows_, reps_);
  Throw(ErrorCode::kUnsupported, "The store cannot run {} yet.", workload);
}

}  // namespace

int Main(int argc, char** argv) {
  std::string workload = argc > 1 ? argv[1] : "";
  Arguments arguments(argc, argv);
  try {
    Bench(arguments).Run(workload);
  } catch (const std::exception& exception) {
    Error error = ErrorFrom(exception);
    std::string mode = arguments.Text("mode", "");
    if (error.code() == ErrorCode::kUnsupported) {
      PrintNotAvailable(mode.empty() ? workload : workload + "-" + mode, error.text());
      return 0;
    }
    std::fprintf(stderr, "%s\n", error.text().c_str());
    return 1;
  }
  return 0;
}

}  // namespace millrace

int main(int argc, char** argv) {
  return millrace::Main(argc, argv);
}
