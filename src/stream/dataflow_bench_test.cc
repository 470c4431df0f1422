// Goal: the bench of the differential tests. Method: see dataflow_test.h.
#include <filesystem>

#include "duckdb/common/types/date.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "stream/dataflow_test.h"
#include "stream/feed_tables.h"

namespace millrace {

namespace {

int Pick(std::mt19937& random, int below) {
  return static_cast<int>(random() % below);
}

Value MaybeNull(std::mt19937& random, int one_in, Value value) {
  return Pick(random, one_in) == 0 ? Value(value.type()) : value;
}

ColumnDefinition Column(const std::string& name, const std::string& type) {
  ColumnDefinition column;
  column.name = name;
  column.type = ParseDataType(type);
  return column;
}

Value Text(std::mt19937& random) {
  constexpr const char* kTexts[] = {"a",
                                    "b",
                                    "",
                                    "salary",
                                    "rent",
                                    "a text longer than twelve bytes",
                                    "a text longer than twelve letters",
                                    "Ünïcode"};
  return Value(kTexts[Pick(random, 8)]);
}

Value Money(std::mt19937& random) {
  return Value::DECIMAL(static_cast<int64_t>(Pick(random, 20) * 125 - 1000), 12, 2);
}

}  // namespace

DataflowBench::DataflowBench(uint64_t seed)
    : random_(static_cast<uint32_t>(seed)), database_(nullptr) {
  FeedTables::Register(*database_.instance);
  batch_ = std::make_unique<duckdb::Connection>(database_);
  stream_ = std::make_unique<duckdb::Connection>(database_);
  batch_->Query("SET threads = 1");
  // Takes filters down past LIMIT, so that other rows are the first; Engine leaves it out, too.
  batch_->Query("SET disabled_optimizers = 'join_filter_pushdown'");
  batch_->Query("CREATE SCHEMA streaming");
  AddTable("accounts",
           {Column("id", "INT"), Column("branch", "INT"), Column("name", "STRING"),
            Column("balance", "DECIMAL(12,2)")},
           {"id"}, [](std::mt19937& random) {
             return Row{Value::INTEGER(Pick(random, 12)),
                        MaybeNull(random, 6, Value::INTEGER(Pick(random, 4))),
                        MaybeNull(random, 5, Text(random)), Money(random)};
           });
  AddTable("moves",
           {Column("account", "INT"), Column("amount", "DECIMAL(12,2)"), Column("day", "DATE"),
            Column("note", "STRING"), Column("score", "DOUBLE"), Column("seq", "BIGINT")},
           {}, [](std::mt19937& random) {
             return Row{
                 MaybeNull(random, 8, Value::INTEGER(Pick(random, 12))),
                 MaybeNull(random, 6, Money(random)),
                 MaybeNull(random, 6,
                           Value::DATE(duckdb::Date::EpochDaysToDate(19000 + Pick(random, 5)))),
                 MaybeNull(random, 4, Text(random)),
                 MaybeNull(random, 6, Value::DOUBLE(Pick(random, 16) * 0.25 - 2)),
                 Value::BIGINT(Pick(random, 6))};
           });
  AddTable("branches",
           {Column("id", "INT"), Column("city", "STRING"), Column("opened", "TIMESTAMP(6)")},
           {"id"}, [](std::mt19937& random) {
             return Row{
                 Value::INTEGER(Pick(random, 5)), MaybeNull(random, 6, Text(random)),
                 MaybeNull(random, 6,
                           Value::TIMESTAMP(duckdb::timestamp_t(Pick(random, 4) * 86400000000LL)))};
           });
  Publish();
}

void DataflowBench::AddTable(const std::string& name, std::vector<ColumnDefinition> columns,
                             std::vector<std::string> key,
                             std::function<Row(std::mt19937&)> random_row) {
  auto definition = std::make_shared<TableDefinition>();
  definition->path = {"test", "bank", name};
  definition->columns = std::move(columns);
  definition->primary_key = std::move(key);
  FeedTables::Add(definition);
  std::string text;
  auto types = definition->ColumnTypes();
  for (idx_t i = 0; i < types.size(); i++) {
    text += (i ? ", " : "") + definition->columns[i].name + " " + types[i].ToString();
  }
  batch_->Query("CREATE TABLE " + name + "(" + text + ")");
  batch_->Query("CREATE VIEW streaming." + name + " AS FROM feed('" + name + "')");
  tables_.push_back({definition, {}, std::move(random_row), ChangelogType::kFull});
}

TestTable& DataflowBench::Table(const std::string& name) {
  for (auto& table : tables_) {
    if (table.definition->path.name == name) return table;
  }
  Throw(ErrorCode::kNotFound, "no test table {}", name);
}

void DataflowBench::LimitMemory(int64_t bytes, SystemCallFault fault) {
  memory_ = std::make_unique<StateMemory>(
      StateMemoryOptions{.folder = std::filesystem::temp_directory_path(),
                         .limit_bytes = bytes,
                         .extent_bytes = 32 << 10,
                         .fault = std::move(fault)});
}

std::unique_ptr<Dataflow> DataflowBench::Compile(const std::string& sql, DataflowOptions options) {
  if (!options.memory) options.memory = memory_.get();
  if (shards_ > 1) {
    options.shards = shards_;
    options.threads = threads_ ? threads_ : 1 + random_() % 4;
    options.workers = &workers_;
    if (phases_) options.aggregate_phases = *phases_;
    if (large_) options.small_step_rows = 0;
    if (rounds_) options.input_rows = 1 + round_random_() % 20;
  }
  stream_->Query("SET search_path = 'streaming'");
  return Dataflow::CompileAs(*stream_->context, sql, options, fingerprint_);
}

std::vector<TestChange> DataflowBench::RandomChanges(TestTable& table, idx_t count) {
  std::vector<TestChange> changes;
  bool keyed = !table.definition->primary_key.empty();
  bool append = table.type == ChangelogType::kAppend;
  for (idx_t i = 0; i < count; i++) {
    Row row = table.random_row(random_);
    auto same = keyed ? std::find_if(table.rows.begin(), table.rows.end(),
                                     [&](const Row& other) { return other[0] == row[0]; })
                      : table.rows.end();
    if (append) {
      if (same != table.rows.end()) continue;
      table.rows.push_back(row);
      changes.push_back({RowKind::kInsert, row});
      continue;
    }
    bool remove = Pick(random_, 100) < (table.rows.size() > 40 ? 60 : 30);
    if (!keyed && !table.rows.empty() && (remove || Pick(random_, 4) == 0)) {
      same = table.rows.begin() + Pick(random_, static_cast<int>(table.rows.size()));
    }
    if (same == table.rows.end()) {
      table.rows.push_back(row);
      changes.push_back({RowKind::kInsert, row});
    } else if (remove) {
      changes.push_back({RowKind::kDelete, *same});
      table.rows.erase(same);
    } else {
      changes.push_back({RowKind::kUpdateBefore, *same});
      changes.push_back({RowKind::kUpdateAfter, row});
      *same = row;
    }
  }
  return changes;
}

void DataflowBench::Publish() {
  for (auto& table : tables_) {
    const std::string& name = table.definition->path.name;
    batch_->Query("DELETE FROM " + name);
    duckdb::Appender appender(*batch_, name);
    for (const Row& row : table.rows) {
      appender.BeginRow();
      for (const Value& value : row) appender.Append<Value>(value);
      appender.EndRow();
    }
    appender.Close();
  }
}

void DataflowBench::Feed(Dataflow& dataflow, const TestTable& table,
                         const std::vector<TestChange>& changes, const ChangeReceiver& out) {
  for (idx_t input = 0; input < dataflow.Inputs().size(); input++) {
    auto& source = dataflow.Inputs()[input];
    if (source.definition->path != table.definition->path) continue;
    duckdb::vector<LogicalType> types;
    for (idx_t column : source.columns) types.push_back(table.definition->ColumnTypes()[column]);
    ChangeChunk chunk;
    if (!types.empty()) chunk.Initialize(types);
    auto flush = [&] {
      dataflow.Push(input, chunk, out);
      chunk.Reset();
    };
    idx_t limit = 1 + random_() % 9;
    for (const TestChange& change : changes) {
      RowKind kind = change.kind;
      bool upsert = table.type == ChangelogType::kUpsert;
      if (upsert && kind == RowKind::kUpdateBefore) continue;
      idx_t row = chunk.rows.size();
      for (idx_t i = 0; i < source.columns.size(); i++) {
        // Deletes of an upsert stream carry the key only.
        bool blank = upsert && kind == RowKind::kDelete && source.columns[i] != 0;
        chunk.rows.SetValue(i, row, blank ? Value(types[i]) : change.row[source.columns[i]]);
      }
      chunk.rows.SetCardinality(row + 1);
      chunk.kinds.push_back(kind);
      if (chunk.rows.size() == limit) flush();
    }
    flush();
  }
}

std::vector<ChangelogType> DataflowBench::InputTypes(const Dataflow& dataflow) {
  std::vector<ChangelogType> types;
  for (auto& input : dataflow.Inputs()) types.push_back(Table(input.definition->path.name).type);
  return types;
}

std::string PrintRow(DataChunk& rows, idx_t row) {
  std::string text;
  for (idx_t i = 0; i < rows.ColumnCount(); i++) {
    Value value = rows.GetValue(i, row);
    text += (i ? "|" : "") + (value.IsNull() ? "NULL" : "'" + value.ToString() + "'");
  }
  return text;
}

std::map<std::string, int64_t> DataflowBench::BatchAnswer(const std::string& sql) {
  auto result = batch_->Query(sql);
  if (result->HasError())
    throw ErrorFrom(
        duckdb::Exception(result->GetErrorType(), result->GetErrorObject().RawMessage()));
  std::map<std::string, int64_t> rows;
  while (auto chunk = result->Fetch()) {
    for (idx_t i = 0; i < chunk->size(); i++) rows[PrintRow(*chunk, i)]++;
  }
  return rows;
}

ChangeReceiver Folded::Receiver() {
  return [this](ChangeChunk& chunk) {
    for (idx_t i = 0; i < chunk.size(); i++) {
      changes++;
      RowKind kind = chunk.KindOf(i);
      std::string text = PrintRow(chunk.rows, i);
      if ((kind == RowKind::kUpdateAfter) != before_open_ && fault.empty()) {
        fault = (before_open_ ? "-U without +U before: " : "+U without -U: ") + text;
      }
      before_open_ = kind == RowKind::kUpdateBefore;
      int64_t& weight = rows[text];
      weight += Weight(kind);
      if (weight < 0 && fault.empty()) fault = "weight below zero: " + text;
      if (weight == 0) rows.erase(text);
    }
  };
}

std::string RunDifferential(DataflowBench& bench, const std::string& sql, int steps, int restart_at,
                            DataflowOptions options) {
  for (auto& table : bench.Tables()) table.rows.clear();
  auto dataflow = bench.Compile(sql, options);
  auto types = bench.InputTypes(*dataflow);
  ChangelogType output = dataflow->Start(types);
  Folded folded;
  ChangeReceiver receiver = folded.Receiver();
  auto& random = bench.Random();
  MemoryStore store;
  for (int step = 0; step < steps; step++) {
    dataflow->BeginStep(bench.RoundRows());
    for (auto& table : bench.Tables()) {
      idx_t count = random() % 4 == 0 ? 0 : random() % (step % 5 == 4 ? 40 : 9);
      auto changes = bench.RandomChanges(table, count);
      bench.Feed(*dataflow, table, changes, receiver);
    }
    dataflow->EndStep(receiver);
    bench.Publish();
    std::map<std::string, int64_t> expected;
    try {
      expected = bench.BatchAnswer(sql);
    } catch (const std::exception& failure) {
      return fmt::format("{} with {} in {}", kBatchFails, ErrorFrom(failure).text(), sql);
    }
    std::string where = fmt::format("step {} of: {}\n{}", step, sql, dataflow->Explain());
    if (!folded.fault.empty()) return folded.fault + " in " + where;
    if (folded.rows != expected) {
      std::string difference;
      for (auto& [row, weight] : expected) {
        auto found = folded.rows.find(row);
        int64_t have = found == folded.rows.end() ? 0 : found->second;
        if (have != weight)
          difference += fmt::format("  batch {} x {}, stream {} x\n", weight, row, have);
      }
      for (auto& [row, weight] : folded.rows) {
        if (!expected.count(row))
          difference += fmt::format("  batch 0 x, stream {} x {}\n", weight, row);
      }
      return "differs in " + where + difference;
    }
    int64_t before = folded.changes;
    dataflow->EndStep(receiver);
    if (folded.changes != before) return "an empty step emits in " + where;
    if (random() % 2) dataflow->Save(store);  // What comes after it is written apart.
    if (step == restart_at) {
      dataflow->Save(store);
      auto again = bench.Compile(sql, options);
      if (again->Fingerprint() != dataflow->Fingerprint()) return "fingerprints differ in " + where;
      if (again->Start(types) != output) return "output types differ in " + where;
      again->Load(store);
      dataflow = std::move(again);
    }
  }
  return "";
}

}  // namespace millrace
