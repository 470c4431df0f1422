#include "stream/exchange.h"

#include <algorithm>

#include "duckdb/common/allocator.hpp"

namespace millrace {

ChangeChunk& ChangeBuffer::WithRoom() {
  if (used_ > 0 && chunks_[used_ - 1]->size() < chunk_rows_) return *chunks_[used_ - 1];
  if (used_ == chunks_.size()) {
    auto made = std::make_unique<ChangeChunk>();
    if (!types_.empty()) {
      made->rows.Initialize(duckdb::Allocator::DefaultAllocator(), types_, chunk_rows_);
    }
    chunks_.push_back(std::move(made));
  }
  return *chunks_[used_++];
}

void ChangeBuffer::Append(const ChangeChunk& chunk, const SelectionVector* selected, idx_t count) {
  rows_ += count;
  for (idx_t done = 0, part; done < count; done += part) {
    ChangeChunk& to = WithRoom();
    idx_t at = to.size();
    part = std::min(count - done, chunk_rows_ - at);
    for (idx_t i = 0; i < types_.size(); i++) {
      const Vector& source = chunk.rows.data[i];
      if (selected) {
        duckdb::VectorOperations::Copy(source, to.rows.data[i], *selected, done + part, done, at);
      } else {
        duckdb::VectorOperations::Copy(source, to.rows.data[i], done + part, done, at);
      }
    }
    if (!chunk.kinds.empty()) {
      to.ExpandKinds();
      for (idx_t i = done; i < done + part; i++) {
        to.kinds.push_back(chunk.kinds[selected ? selected->get_index(i) : i]);
      }
    } else if (!to.kinds.empty()) {
      to.kinds.resize(at + part, RowKind::kInsert);
    }
    to.rows.SetCardinality(at + part);
  }
}

bool ChangeBuffer::EndsInUpdateBefore() const {
  if (used_ == 0) return false;
  const ChangeChunk& last = *chunks_[used_ - 1];
  return last.KindOf(last.size() - 1) == RowKind::kUpdateBefore;
}

void ChangeBuffer::Clear() {
  for (idx_t i = 0; i < used_; i++) chunks_[i]->Reset();
  used_ = 0;
  rows_ = 0;
}

void ChangeBuffer::Free() {
  Clear();
  chunks_.clear();
}

/// Divides what it is given among the shards.
class ExchangeSender : public Operator {
 public:
  ExchangeSender(Exchange& exchange, idx_t from, duckdb::ClientContext& context,
                 ExpressionList keys)
      : Operator(exchange.types_),
        exchange_(exchange),
        from_(from),
        keys_(context, std::move(keys)),
        layout_(keys_.Types(), true),
        selected_(exchange.to_.size()),
        counts_(exchange.to_.size()) {
    for (auto& key : keys_.Expressions()) {
      if (auto column = PlainColumn(*key)) columns_.push_back(*column);
    }
    if (keys_.Empty()) return;
    if (columns_.size() < keys_.Expressions().size()) {
      key_chunk_.Initialize(duckdb::Allocator::DefaultAllocator(), keys_.Types());
    }
    for (auto& selected : selected_) selected.Initialize(kChunkRows);
    if (!Types().empty()) part_.rows.InitializeEmpty(Types());
  }

  void Push(idx_t, ChangeChunk& chunk) override {
    if (keys_.Empty()) return Send(0, chunk, nullptr, chunk.size());
    Divide(chunk);
    for (idx_t to = 0; to < counts_.size(); to++) {
      if (counts_[to] == chunk.size()) return Send(to, chunk, nullptr, chunk.size());
    }
    for (idx_t to = 0; to < counts_.size(); to++) {
      if (counts_[to] > 0) Send(to, chunk, &selected_[to], counts_[to]);
    }
  }
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override { return inputs[0]; }
  std::unique_ptr<Operator> Copy(duckdb::ClientContext& context, StateArena&) const override {
    return std::make_unique<ExchangeSender>(exchange_, from_, context,
                                            CopyExpressions(keys_.Expressions()));
  }
  std::vector<std::optional<idx_t>> OutputsOf(idx_t) const override {
    return EachColumn(Types().size());
  }
  std::string Describe() const override { return "EXCHANGE " + keys_.ToString(); }

 private:
  void Divide(ChangeChunk& chunk) {
    if (columns_.size() == keys_.Expressions().size()) {
      batch_.Fill(layout_, chunk.rows, &columns_, true);
    } else {
      keys_.Evaluate(chunk.rows, key_chunk_);
      key_chunk_.SetCardinality(chunk.size());
      batch_.Fill(layout_, key_chunk_, nullptr, true);
    }
    std::fill(counts_.begin(), counts_.end(), 0);
    for (idx_t i = 0; i < chunk.size(); i++) {
      idx_t to = ShardOf(batch_.HashOf(i), counts_.size());
      selected_[to].set_index(counts_[to]++, i);
    }
  }

  void Send(idx_t to, ChangeChunk& chunk, const SelectionVector* rows, idx_t count) {
    if (!exchange_.direct_) {
      exchange_.Buffer(from_, to).Append(chunk, rows, count);
      exchange_.sent_[from_].rows += count;
    } else if (!rows) {
      exchange_.to_[to]->Take(exchange_.port_, chunk);
    } else {
      part_.rows.Reset();
      part_.rows.Slice(chunk.rows, *rows, count);
      part_.kinds.clear();
      for (idx_t i = 0; !chunk.kinds.empty() && i < count; i++) {
        part_.kinds.push_back(chunk.kinds[rows->get_index(i)]);
      }
      exchange_.to_[to]->Take(exchange_.port_, part_);
    }
  }

  Exchange& exchange_;
  const idx_t from_;
  Evaluator keys_;
  RowLayout layout_;
  std::vector<idx_t> columns_;  // Of the keys that are columns.
  DataChunk key_chunk_;
  RowBatch batch_;
  std::vector<SelectionVector> selected_;  // By shard that receives.
  std::vector<idx_t> counts_;
  ChangeChunk part_;
};

Exchange::Exchange(duckdb::vector<LogicalType> types, std::vector<Operator*> to, idx_t port)
    : types_(std::move(types)),
      to_(std::move(to)),
      port_(port),
      readers_(to_.size()),
      sent_(to_.size()) {
  // Rows scatter over many buffers where there are many shards: smaller chunks will do.
  idx_t chunk_rows = kChunkRows / std::max<idx_t>(1, to_.size() / 4);
  for (idx_t i = 0; i < to_.size() * to_.size(); i++) {
    buffers_.push_back(std::make_unique<ChangeBuffer>(types_, chunk_rows));
  }
}

Exchange::~Exchange() = default;

Operator& Exchange::AddSender(duckdb::ClientContext& context, ExpressionList keys) {
  senders_.push_back(
      std::make_unique<ExchangeSender>(*this, senders_.size(), context, std::move(keys)));
  return *senders_.back();
}

idx_t Exchange::Waiting(idx_t to) const {
  idx_t rows = 0;
  const Reader& reader = readers_[to];
  for (idx_t from = reader.from; from < to_.size(); from++) {
    const ChangeBuffer& buffer = Buffer(from, to);
    idx_t read = from == reader.from ? reader.chunk : 0;
    if (read < buffer.Chunks()) rows += buffer.Rows();
  }
  return rows;
}

bool Exchange::Receive(idx_t to) {
  Reader& reader = readers_[to];
  for (; reader.from < to_.size(); reader = {reader.from + 1, 0}) {
    ChangeBuffer& buffer = Buffer(reader.from, to);
    if (reader.chunk < buffer.Chunks()) {
      to_[to]->Take(port_, buffer.Chunk(reader.chunk++));
      return true;
    }
    buffer.Clear();
  }
  reader = {};
  return false;
}

void Exchange::Free() {
  for (auto& buffer : buffers_) buffer->Free();
}

}  // namespace millrace
