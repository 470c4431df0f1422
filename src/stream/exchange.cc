#include "stream/exchange.h"

#include <algorithm>

#include "duckdb/common/allocator.hpp"

namespace millrace {

namespace {

constexpr idx_t kEnoughRows = 1024;     // To tell from one chunk whether keys repeat.
constexpr idx_t kSampleRows = 4096;     // To tell from what was combined.
constexpr idx_t kMostCombined = 8192;   // Combined rows that wait for others of their key.
constexpr idx_t kMostAdded = 60 << 10;  // Rows in them: sums of so many fit (AggregateCombiner).
constexpr idx_t kMostRest = 31;         // Rounds in which nothing is tried.

/// Whether not more than half of the keys are different, about.
bool MostRepeat(const RowBatch& batch, idx_t count) {
  uint64_t seen[kChunkRows / 8] = {};  // 8 bits a row: few different keys share one.
  idx_t different = 0;
  for (idx_t i = 0; i < count; i++) {
    uint64_t bit = batch.HashOf(i) >> 16;
    uint64_t& word = seen[bit / 64 % (kChunkRows / 8)];
    different += ~word >> (bit % 64) & 1;
    word |= uint64_t(1) << (bit % 64);
  }
  return different * 2 <= count;
}

}  // namespace

/// Divides what it is given among the shards.
class ExchangeSender : public Operator {
 public:
  ExchangeSender(Exchange& exchange, idx_t from, duckdb::ClientContext& context,
                 Exchange::Sender plan)
      : Operator(exchange.types_),
        exchange_(exchange),
        from_(from),
        keys_(context, std::move(plan.keys)),
        layout_(keys_.Types(), true),
        combiner_(std::move(plan.combiner)),
        combined_keys_(std::move(plan.combined_keys)),
        always_(plan.always),
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
    divided_ = false;
    if (combiner_ && !exchange_.touched_ && chunk.size() > 0 && Combine(chunk)) return;
    auto send = [&](idx_t to, const SelectionVector* rows, idx_t count) {
      Send(to, chunk, rows, count);
    };
    if (keys_.Empty()) return send(0, nullptr, chunk.size());
    if (!divided_) Divide(chunk);
    SendParts(chunk.size(), send);
  }
  void EndRound() {
    if (!combiner_) return;
    Flush();
    if (way_ == Way::kCombine) last_rest_ = 0;
    way_ = rest_ > 0 ? Way::kAsTheyAre : Way::kUnknown;
    if (rest_ > 0) rest_--;
  }
  ChangelogType Start(const std::vector<ChangelogType>& inputs) override { return inputs[0]; }
  std::unique_ptr<Operator> Copy(duckdb::ClientContext&, StateArena&) const override {
    MILLRACE_CHECK(false);  // Made when all shards are there.
    return nullptr;
  }
  std::vector<std::optional<idx_t>> OutputsOf(idx_t) const override {
    return EachColumn(Types().size());
  }
  std::string Describe() const override { return "EXCHANGE " + keys_.ToString(); }

 private:
  enum class Way : uint8_t { kUnknown, kCombine, kAsTheyAre };

  /// False: the chunk's rows are to go as they are.
  bool Combine(ChangeChunk& chunk) {
    if (way_ == Way::kUnknown) way_ = Promises(chunk) ? Way::kCombine : Way::kAsTheyAre;
    if (way_ == Way::kAsTheyAre) return false;
    if (!exchange_.FirstOf(from_).TakeThrough(*combiner_, chunk)) {
      GoAsTheyAre();
      return false;
    }
    idx_t rows = combiner_->Rows(), combined = combiner_->Combined();
    if (!always_ && rows >= kSampleRows && combined * 2 > rows) {
      GoAsTheyAre();
      // Each time in vain the next attempt is later.
      last_rest_ = std::min(2 * last_rest_ + 1, kMostRest);
      rest_ = last_rest_;
    } else if (combined >= kMostCombined || rows >= kMostAdded) {
      Flush();
    }
    return true;
  }

  bool Promises(ChangeChunk& chunk) {
    if (always_ || keys_.Empty() || chunk.size() < kEnoughRows) return true;
    Divide(chunk);
    divided_ = true;
    return MostRepeat(batch_, chunk.size());
  }

  void GoAsTheyAre() {
    Flush();
    way_ = Way::kAsTheyAre;
  }

  void Flush() {
    if (combiner_->Rows() == 0) return;
    combiner_->Flush([this](ChangeChunk& combined) {
      auto send = [&](idx_t to, const SelectionVector* rows, idx_t count) {
        exchange_.QueueOf(from_, to).combined->Append(combined, rows, count);
        exchange_.sent_[from_].rows += count;
      };
      if (keys_.Empty()) return send(0, nullptr, combined.size());
      Divide(combined.rows, combined_keys_);
      SendParts(combined.size(), send);
    });
  }

  void Divide(ChangeChunk& chunk) {
    if (columns_.size() == keys_.Expressions().size()) return Divide(chunk.rows, columns_);
    keys_.Evaluate(chunk.rows, key_chunk_);
    key_chunk_.SetCardinality(chunk.size());
    batch_.Fill(layout_, key_chunk_, nullptr, true);
    Select(chunk.size());
  }
  void Divide(DataChunk& rows, const std::vector<idx_t>& keys) {
    batch_.Fill(layout_, rows, &keys, true);
    Select(rows.size());
  }
  void Select(idx_t count) {
    std::fill(counts_.begin(), counts_.end(), 0);
    for (idx_t i = 0; i < count; i++) {
      idx_t to = ShardOf(batch_.HashOf(i), counts_.size());
      selected_[to].set_index(counts_[to]++, i);
    }
  }

  /// `send(shard, rows, count)` for each that gets rows of what was divided; null: all of them.
  template <typename F>
  void SendParts(idx_t size, F&& send) {
    for (idx_t to = 0; to < counts_.size(); to++) {
      if (counts_[to] == size) return send(to, nullptr, size);
    }
    for (idx_t to = 0; to < counts_.size(); to++) {
      if (counts_[to] > 0) send(to, &selected_[to], counts_[to]);
    }
  }

  void Send(idx_t to, ChangeChunk& chunk, const SelectionVector* rows, idx_t count) {
    if (!exchange_.touched_) {
      exchange_.QueueOf(from_, to).rows->Append(chunk, rows, count);
      exchange_.sent_[from_].rows += count;
      return;
    }
    (*exchange_.touched_)[to] = 1;
    if (!rows) {
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
  const std::unique_ptr<Combiner> combiner_;
  const std::vector<idx_t> combined_keys_;
  const bool always_;
  Way way_ = Way::kUnknown;  // Of this round's rows.
  idx_t rest_ = 0;           // Rounds in which rows go as they are.
  idx_t last_rest_ = 0;
  std::vector<idx_t> columns_;  // Of the keys that are columns.
  DataChunk key_chunk_;
  RowBatch batch_;
  bool divided_ = false;                   // selected_ is the chunk's at hand.
  std::vector<SelectionVector> selected_;  // By shard that receives.
  std::vector<idx_t> counts_;
  ChangeChunk part_;
};

void Exchange::Queue::Clear() {
  if (combined) combined->Clear();
  rows->Clear();
}

Exchange::Exchange(duckdb::vector<LogicalType> types, std::vector<Operator*> to, idx_t port,
                   idx_t groups)
    : types_(std::move(types)),
      to_(std::move(to)),
      port_(port),
      groups_(groups),
      queues_(groups * to_.size()),
      readers_(to_.size()),
      sent_(groups) {
  for (Queue& queue : queues_) queue.rows = std::make_unique<ChangeBuffer>(types_, ChunkRows());
}

Exchange::~Exchange() = default;

/// Rows scatter over many queues where there are many shards: smaller chunks will do.
idx_t Exchange::ChunkRows() const {
  return kChunkRows / std::max<idx_t>(1, to_.size() / 4);
}

Operator& Exchange::AddSender(duckdb::ClientContext& context, Sender sender) {
  idx_t from = senders_.size();
  for (idx_t to = 0; sender.combiner && to < to_.size(); to++) {
    QueueOf(from, to).combined =
        std::make_unique<ChangeBuffer>(sender.combiner->Types(), ChunkRows());
  }
  senders_.push_back(std::make_unique<ExchangeSender>(*this, from, context, std::move(sender)));
  return *senders_.back();
}

void Exchange::EndRound(idx_t from) {
  senders_[from]->EndRound();
}

idx_t Exchange::Waiting(idx_t to) const {
  idx_t rows = 0;
  const Reader& reader = readers_[to];
  for (idx_t from = reader.from; from < groups_; from++) {
    const Queue& queue = QueueOf(from, to);
    idx_t read = from == reader.from ? reader.chunk : 0;
    if (read < queue.Chunks()) rows += queue.Rows();
  }
  return rows;
}

bool Exchange::Receive(idx_t to) {
  Reader& reader = readers_[to];
  bool received = false;
  // What has been read is forgotten at once: more may be sent before the next call.
  for (; reader.from < groups_; reader = {reader.from + 1, 0}) {
    Queue& queue = QueueOf(reader.from, to);
    if (reader.chunk < queue.Chunks()) {
      if (received) return true;
      idx_t combined = queue.CombinedChunks(), at = reader.chunk++;
      if (at < combined) {
        to_[to]->TakeCombined(queue.combined->Chunk(at));
      } else {
        to_[to]->Take(port_, queue.rows->Chunk(at - combined));
      }
      received = true;
      if (reader.chunk < queue.Chunks()) return true;
    }
    queue.Clear();
  }
  reader = {};
  return received;
}

void Exchange::SetSpool(ChangeSpool* spool, idx_t most) {
  for (Queue& queue : queues_) {
    if (queue.combined) queue.combined->SetSpool(spool, most);
    queue.rows->SetSpool(spool, most);
  }
}

void Exchange::Free() {
  for (Queue& queue : queues_) {
    if (queue.combined) queue.combined->Free();
    queue.rows->Free();
  }
}

}  // namespace millrace
