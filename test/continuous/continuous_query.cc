#include "continuous_query.h"

#include "base/error.h"
#include "duckdb/main/client_context.hpp"
#include "stream/memory_state_store.h"

namespace millrace {

ContinuousQuery::ContinuousQuery(Twins& twins, std::string sql, DataflowOptions options)
    : twins_(twins), sql_(std::move(sql)), options_(std::move(options)), flow_(Compile()) {}

std::unique_ptr<Dataflow> ContinuousQuery::Compile() {
  auto flow = Dataflow::Compile(*twins_.Streaming().context, sql_, options_);
  flow->Start(std::vector<ChangelogType>(flow->Inputs().size(), ChangelogType::kFull));
  return flow;
}

void ContinuousQuery::Step(int step, std::mt19937& random) {
  struct Pending {
    idx_t input;
    const std::vector<std::unique_ptr<ChangeChunk>>* chunks;
    idx_t at = 0;
    idx_t row = 0;
  };
  std::vector<Pending> pending;
  for (idx_t i = 0; i < flow_->Inputs().size(); i++) {
    auto& chunks = twins_.HistoryOf(flow_->Inputs()[i].definition->path).steps.at(step);
    if (!chunks.empty()) pending.push_back({i, &chunks});
  }
  while (!pending.empty()) {
    idx_t which = random() % pending.size();
    Pending& next = pending[which];
    const ChangeChunk& chunk = *(*next.chunks)[next.at];
    idx_t left = chunk.size() - next.row;
    idx_t count = random() % 3 ? left : 1 + random() % left;
    Push(next.input, chunk, next.row, count);
    next.row += count;
    if (next.row < chunk.size()) continue;
    next.row = 0;
    if (++next.at == next.chunks->size()) {
      pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(which));
    }
  }
  flow_->EndStep([this](ChangeChunk& out) { Receive(out); });
}

void ContinuousQuery::Push(idx_t input, const ChangeChunk& chunk, idx_t start, idx_t count) {
  auto& columns = flow_->Inputs()[input].columns;
  ChangeChunk part;
  duckdb::vector<LogicalType> types;
  for (idx_t column : columns) types.push_back(chunk.rows.data[column].GetType());
  if (!types.empty()) part.rows.InitializeEmpty(types);
  SelectionVector rows(count);
  for (idx_t i = 0; i < count; i++) rows.set_index(i, start + i);
  for (idx_t i = 0; i < columns.size(); i++) {
    part.rows.data[i].Slice(chunk.rows.data[columns[i]], rows, count);
  }
  part.rows.SetCardinality(count);
  part.rows.Flatten();
  part.kinds.assign(chunk.kinds.begin() + static_cast<std::ptrdiff_t>(start),
                    chunk.kinds.begin() + static_cast<std::ptrdiff_t>(start + count));
  flow_->Push(input, part, [this](ChangeChunk& out) { Receive(out); });
}

void ContinuousQuery::Receive(ChangeChunk& chunk) {
  for (idx_t i = 0; i < chunk.size(); i++) {
    RowKind kind = chunk.KindOf(i);
    if ((kind == RowKind::kUpdateAfter) != before_open_ && fault_.empty()) {
      fault_ = before_open_ ? "a -U without its +U" : "a +U without its -U";
    }
    before_open_ = kind == RowKind::kUpdateBefore;
    if (!shown_.Add(chunk.rows, i, Weight(kind)) && fault_.empty()) {
      fault_ = "a row leaves that never came: " + chunk.rows.ToString();
    }
  }
}

void ContinuousQuery::Restart(idx_t threads) {
  MemoryStore store;
  flow_->Save(store);
  options_.threads = threads;
  auto again = Compile();
  if (again->Fingerprint() != flow_->Fingerprint()) {
    Throw(ErrorCode::kInvalid, "compiled twice, the query has two fingerprints");
  }
  again->Load(store);
  flow_ = std::move(again);
}

}  // namespace millrace
