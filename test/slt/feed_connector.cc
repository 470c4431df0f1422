#include "feed_connector.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace millrace {

namespace {

constexpr size_t kAll = SIZE_MAX;

ChangelogType ChangelogOf(const TableDefinition& definition) {
  auto found = definition.options.find("changelog");
  std::string text = found == definition.options.end() ? "full" : found->second;
  if (text == "append") return ChangelogType::kAppend;
  if (text == "upsert") return ChangelogType::kUpsert;
  if (text == "full") return ChangelogType::kFull;
  Throw(ErrorCode::kInvalid, "'changelog' = '{}': must be append, upsert or full", text);
}

// The rows that are there after `rows`: by primary key for upserts, as a multiset else.
std::vector<ChangeRow> LiveRows(const TableDefinition& definition,
                                const std::vector<ChangeRow>& rows) {
  std::vector<ChangeRow> live;
  if (ChangelogOf(definition) != ChangelogType::kUpsert) {
    std::string problem;
    for (TextRow& row : Fold(rows, problem)) live.push_back({RowKind::kInsert, std::move(row)});
    if (!problem.empty()) {
      Throw(ErrorCode::kData, "Feeding {}: {}", definition.path.name, problem);
    }
    return live;
  }
  std::map<TextRow, TextRow> by_key;
  for (const ChangeRow& row : rows) {
    TextRow key;
    for (auto& name : definition.primary_key) {
      key.push_back(row.values[*definition.FindColumn(name)]);
    }
    if (IsAdd(row.kind)) {
      by_key[key] = row.values;
    } else if (row.kind == RowKind::kDelete) {
      by_key.erase(key);
    }
  }
  for (auto& [key, row] : by_key) live.push_back({RowKind::kInsert, row});
  return live;
}

class FeedSource : public Source {
 public:
  FeedSource(FeedHistory& history, std::vector<SourceTable> tables, bool bounded)
      : history_(history), tables_(std::move(tables)), bounded_(bounded) {}

  ChangelogType Changelog(idx_t index) const override {
    return bounded_ ? ChangelogType::kAppend : ChangelogOf(*tables_[index].definition);
  }
  bool IsBounded() const override { return bounded_; }

  SourceStatus Read(const ReadLimit& limit,
                    const std::function<void(idx_t, ChangeChunk&)>& receive) override {
    if (bounded_) {
      if (position_ == 0) SendLive(receive);
      position_ = 1;
      return SourceStatus::kEnd;
    }
    // One block a step; a replay takes as many as its step did.
    size_t end = limit.until ? std::stoul(*limit.until) : position_ + 1;
    if (history_.size() <= position_ && !limit.until) return SourceStatus::kIdle;
    if (limit.until && end <= position_) return SourceStatus::kProgress;
    for (auto& block : history_.Blocks(position_, end - position_)) {
      for (idx_t index = 0; index < tables_.size(); index++) {
        if (tables_[index].definition->path.name == block.table) Send(index, block.rows, receive);
      }
    }
    position_ = end;
    return SourceStatus::kProgress;
  }
  std::string Position() const override { return std::to_string(position_); }
  void Seek(const std::string& position) override { position_ = std::stoul(position); }

 private:
  void SendLive(const std::function<void(idx_t, ChangeChunk&)>& receive) {
    for (idx_t index = 0; index < tables_.size(); index++) {
      std::vector<ChangeRow> rows;
      for (auto& block : history_.Blocks(0, kAll)) {
        if (block.table != tables_[index].definition->path.name) continue;
        rows.insert(rows.end(), block.rows.begin(), block.rows.end());
      }
      Send(index, LiveRows(*tables_[index].definition, rows), receive);
    }
  }

  void Send(idx_t index, const std::vector<ChangeRow>& rows,
            const std::function<void(idx_t, ChangeChunk&)>& receive) {
    const SourceTable& table = tables_[index];
    duckdb::vector<LogicalType> all = table.definition->ColumnTypes(), types;
    for (idx_t column : table.columns) types.push_back(all[column]);
    for (size_t begin = 0; begin < rows.size(); begin += kChunkRows) {
      size_t count = std::min<size_t>(kChunkRows, rows.size() - begin);
      ChangeChunk chunk;
      chunk.Initialize(types);
      for (idx_t i = 0; i < types.size(); i++) {
        FillColumn(table, table.columns[i], rows.data() + begin, count, chunk.rows.data[i]);
      }
      chunk.rows.SetCardinality(count);
      for (size_t i = 0; i < count; i++) chunk.kinds.push_back(rows[begin + i].kind);
      receive(index, chunk);
    }
  }

  // `column` counts all columns of the definition; rows hold the physical ones.
  void FillColumn(const SourceTable& table, idx_t column, const ChangeRow* rows, size_t count,
                  Vector& out) {
    std::vector<idx_t> physical = table.definition->PhysicalColumns();
    idx_t cell = std::find(physical.begin(), physical.end(), column) - physical.begin();
    Vector texts(LogicalType::VARCHAR, kChunkRows);
    for (size_t row = 0; row < count; row++) {
      if (cell >= rows[row].values.size()) {
        Throw(ErrorCode::kData, "Feeding {}: the row '{}' has no value for column {}",
              table.definition->path.name, ToLine(rows[row].values),
              table.definition->columns[column].name);
      }
      const std::string& text = rows[row].values[cell];
      texts.SetValue(row, text == "NULL"      ? Value(LogicalType::VARCHAR)
                          : text == "(empty)" ? Value("")
                                              : Value(text));
    }
    if (out.GetType().id() == LogicalTypeId::VARCHAR) {
      duckdb::VectorOperations::Copy(texts, out, count, 0, 0);
    } else {
      duckdb::VectorOperations::DefaultCast(texts, out, count, true);
    }
  }

  FeedHistory& history_;
  std::vector<SourceTable> tables_;
  bool bounded_;
  size_t position_ = 0;
};

class FeedSink : public Sink {
 public:
  FeedSink(FeedHistory& history, std::string table) : history_(history), table_(std::move(table)) {
    history_.AddTarget(table_);
  }
  ChangelogType Accepts() const override { return ChangelogType::kFull; }
  void Write(ChangeChunk& chunk) override { AppendRows(chunk, pending_); }
  void EndStep(int64_t step) override {
    history_.Record(table_, step, pending_);
    pending_.clear();
  }
  std::string Prepare(int64_t) override { return ""; }
  std::optional<Published> Commit(int64_t, const std::string&) override { return std::nullopt; }
  std::optional<int64_t> LastStep() override { return history_.LastStep(table_); }

 private:
  FeedHistory& history_;
  std::string table_;
  std::vector<ChangeRow> pending_;
};

class FeedConnector : public Connector {
 public:
  explicit FeedConnector(FeedHistory& history) : history_(history) {}
  std::string Name() const override { return "feed"; }
  std::vector<OptionInfo> KnownOptions() const override {
    return {{"changelog", "full, append or upsert", false}};
  }
  void Validate(const TableDefinition& definition) const override {
    if (ChangelogOf(definition) == ChangelogType::kUpsert && definition.primary_key.empty()) {
      Throw(ErrorCode::kInvalid, "'changelog' = 'upsert' needs a PRIMARY KEY");
    }
  }
  bool CanRead() const override { return true; }
  bool CanWrite() const override { return true; }
  std::string GroupKey(const TableDefinition&) const override { return "feed"; }
  std::unique_ptr<Source> MakeSource(Environment&, const std::vector<SourceTable>& tables,
                                     bool bounded) const override {
    return std::make_unique<FeedSource>(history_, tables, bounded);
  }
  std::unique_ptr<Sink> MakeSink(Environment&, const TableDefinition& definition,
                                 const std::string&) const override {
    return std::make_unique<FeedSink>(history_, definition.path.name);
  }

 private:
  FeedHistory& history_;
};

}  // namespace

void FeedHistory::Append(Block block) {
  std::lock_guard lock(mutex_);
  blocks_.push_back(std::move(block));
}

size_t FeedHistory::size() const {
  std::lock_guard lock(mutex_);
  return blocks_.size();
}

std::vector<FeedHistory::Block> FeedHistory::Blocks(size_t begin, size_t limit) const {
  std::lock_guard lock(mutex_);
  std::vector<Block> blocks;
  for (size_t i = begin; i < blocks_.size() && blocks.size() < limit; i++) {
    blocks.push_back(blocks_[i]);
  }
  return blocks;
}

void FeedHistory::Record(const std::string& table, int64_t step,
                         const std::vector<ChangeRow>& rows) {
  std::lock_guard lock(mutex_);
  auto last = last_steps_.find(table);
  if (last != last_steps_.end() && step <= last->second) return;
  last_steps_[table] = step;
  auto& written = written_[table];
  written.insert(written.end(), rows.begin(), rows.end());
}

std::optional<int64_t> FeedHistory::LastStep(const std::string& table) const {
  std::lock_guard lock(mutex_);
  auto found = last_steps_.find(table);
  return found == last_steps_.end() ? std::nullopt : std::optional<int64_t>(found->second);
}

std::vector<ChangeRow> FeedHistory::Written(const std::string& table) const {
  std::lock_guard lock(mutex_);
  auto found = written_.find(table);
  return found == written_.end() ? std::vector<ChangeRow>() : found->second;
}

bool FeedHistory::IsTarget(const std::string& table) const {
  std::lock_guard lock(mutex_);
  return targets_.count(table) > 0;
}

void FeedHistory::AddTarget(const std::string& table) {
  std::lock_guard lock(mutex_);
  targets_.insert(table);
}

std::unique_ptr<Connector> MakeFeedConnector(FeedHistory& history) {
  return std::make_unique<FeedConnector>(history);
}

}  // namespace millrace
