#include "sql/connect/generate/datagen.h"

#include "base/error.h"
#include "format/codec/text_values.h"
#include "sql/connect/generate/column_generator.h"

namespace millrace {

namespace {

/// What a table's options say.
struct DatagenPlan {
  int64_t rows_per_second = 0;
  std::optional<int64_t> rows;  // nullopt: without end.
  std::vector<std::unique_ptr<ColumnGenerator>>
      columns;  // By definition column; null: not physical.
};

DatagenPlan MakePlan(const TableDefinition& definition) {
  TableOptions options(definition);
  DatagenPlan plan;
  plan.rows_per_second = options.Integer("rows-per-second", 10'000, 1);
  if (options.Has("number-of-rows")) plan.rows = options.Integer("number-of-rows", 0, 0);
  uint64_t seed = options.Has("datagen.seed")
                      ? static_cast<uint64_t>(options.Integer("datagen.seed", 0))
                      : NamedSeed(0, definition.path.ToString());
  plan.columns.resize(definition.columns.size());
  for (idx_t index : definition.PhysicalColumns()) {
    const ColumnDefinition& column = definition.columns[index];
    plan.columns[index] = MakeColumnGenerator(options, column.name, column.type, seed, plan.rows);
  }
  return plan;
}

/// Every option `fields.x.y` speaks of a column x.
void CheckFieldOptions(const TableDefinition& definition) {
  std::vector<std::string> names;
  for (idx_t index : definition.PhysicalColumns()) names.push_back(definition.columns[index].name);
  for (const auto& [option, value] : definition.options) {
    if (!option.starts_with("fields.")) continue;
    std::string path = option.substr(7);
    bool known = false;
    for (const std::string& name : names) known |= path.starts_with(name + ".");
    if (!known) {
      std::string name = path.substr(0, path.find('.'));
      Throw(ErrorCode::kInvalid,
            "Table {}: option '{}' speaks of column '{}', which the table has not{}",
            definition.path.ToString(), option, name, DidYouMean(name, names));
    }
  }
}

class DatagenSource : public Source {
 public:
  DatagenSource(Environment& environment, const SourceTable& table)
      : clock_(environment.clock),
        plan_(MakePlan(*table.definition)),
        table_(table),
        rate_(environment.clock, plan_.rows_per_second) {
    time_ = {environment.clock.NowMs(), plan_.rows_per_second};
    duckdb::vector<LogicalType> types;
    for (idx_t index : table.columns)
      types.push_back(table.definition->columns[index].type.ToDuck());
    chunk_.Initialize(types);
  }

  ChangelogType Changelog(idx_t) const override { return ChangelogType::kAppend; }
  bool IsBounded() const override { return plan_.rows.has_value(); }

  SourceStatus Read(const ReadLimit& limit,
                    const std::function<void(idx_t, ChangeChunk&)>& receive) override {
    int64_t end;
    if (limit.until) {
      end = ParsePosition(*limit.until).first;
      MILLRACE_CHECK(end >= next_);
    } else {
      int64_t left = plan_.rows.value_or(std::numeric_limits<int64_t>::max()) - next_;
      if (left <= 0) return SourceStatus::kEnd;
      int64_t count = rate_.Allow(std::min<int64_t>(left, static_cast<int64_t>(limit.max_rows)));
      if (count == 0) return SourceStatus::kIdle;
      rate_.Take(count);
      end = next_ + count;
    }
    for (int64_t row = next_; row < end; row += kChunkRows) {
      auto count = static_cast<idx_t>(std::min<int64_t>(end - row, kChunkRows));
      chunk_.Reset();
      for (idx_t i = 0; i < table_.columns.size(); i++) {
        plan_.columns[table_.columns[i]]->Fill(row, count, chunk_.rows.data[i], 0, time_);
      }
      chunk_.rows.SetCardinality(count);
      receive(0, chunk_);
    }
    next_ = end;
    event_time_ms_ = clock_.NowMs();
    return plan_.rows && next_ >= *plan_.rows ? SourceStatus::kEnd : SourceStatus::kProgress;
  }

  std::string Position() const override { return fmt::format("{}@{}", next_, time_.start_ms); }
  void Seek(const std::string& position) override {
    std::tie(next_, time_.start_ms) = ParsePosition(position);
  }
  void SeekBeginOf(const std::string& position) override {
    time_.start_ms = ParsePosition(position).second;
  }
  int64_t EventTimeMs() const override { return event_time_ms_; }

 private:
  std::pair<int64_t, int64_t> ParsePosition(const std::string& position) const {
    int64_t rows, start_ms;
    size_t at = position.find('@');
    if (at == std::string::npos || !ParseInteger(std::string_view(position).substr(0, at), rows) ||
        !ParseInteger(std::string_view(position).substr(at + 1), start_ms)) {
      Throw(ErrorCode::kCorrupt, "Table {}: '{}' is no position of a datagen source",
            table_.definition->path.ToString(), position);
    }
    return {rows, start_ms};
  }

  Clock& clock_;
  DatagenPlan plan_;
  SourceTable table_;
  RateLimit rate_;
  NominalTime time_;
  ChangeChunk chunk_;
  int64_t next_ = 0;
  int64_t event_time_ms_ = 0;
};

class DatagenConnector : public Connector {
 public:
  std::string Name() const override { return "datagen"; }
  bool CanRead() const override { return true; }

  std::vector<OptionInfo> KnownOptions() const override {
    return {
        {"rows-per-second", "rate, default 10000; those of the first second come at once"},
        {"number-of-rows", "how many rows there are; without it the source has no end"},
        {"datagen.seed", "seed of the random values, default by the table's path"},
        {"fields.#.kind", "'random' (default) or 'sequence'"},
        {"fields.#.min", "least random number"},
        {"fields.#.max", "greatest random number"},
        {"fields.#.max-past", "random timestamps lie up to this long ago, default 0"},
        {"fields.#.length", "length of random strings (100), bytes (100), collections (3)"},
        {"fields.#.var-len", "'true': lengths vary from 1 to 'length'"},
        {"fields.#.null-rate", "share of NULLs, 0 .. 1"},
        {"fields.#.start", "first number of a sequence"},
        {"fields.#.end", "last number of a sequence; ends the source"},
    };
  }

  void Validate(const TableDefinition& definition) const override {
    CheckFieldOptions(definition);
    MakePlan(definition);
  }

  std::unique_ptr<Source> MakeSource(Environment& environment,
                                     const std::vector<SourceTable>& tables,
                                     bool bounded) const override {
    MILLRACE_CHECK(tables.size() == 1);
    auto source = std::make_unique<DatagenSource>(environment, tables[0]);
    if (bounded && !source->IsBounded()) {
      Throw(ErrorCode::kInvalid,
            "Table {} has no end, so batch mode cannot read it: set 'number-of-rows', or "
            "SET 'execution.runtime-mode' = 'streaming'",
            tables[0].definition->path.ToString());
    }
    return source;
  }

  /// The same table with other hints is another stream.
  std::string GroupKey(const TableDefinition& definition) const override {
    std::string key = definition.path.ToString();
    for (const auto& [name, value] : definition.options) key += "\n" + name + "=" + value;
    return key;
  }
};

}  // namespace

void RegisterDatagenConnector(ConnectorRegistry& registry) {
  registry.Register(std::make_unique<DatagenConnector>());
}

}  // namespace millrace
