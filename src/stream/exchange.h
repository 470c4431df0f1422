// exchange.h - rows on their way from shard to shard of a dataflow.
//
// In a small step they go to the operator in their shard at once. Else each shard appends them to
// queues, one per shard that they go to; those take theirs when all have appended, queue by queue
// in the order of the shards they come from. So the rows that one shard sends to another keep their
// order, and nothing depends on which thread was faster.
//
// Where the receiver can merge combined rows (combiner.h), a sender may sum its rows up first: what
// it sends in a round is combined rows, then rows as they are. It goes over to the latter for the
// rest of the round, and some rounds, when keys hardly repeat. Each key's rows keep their order.
#pragma once

#include "stream/operator.h"
#include "stream/shard_plan.h"

namespace millrace {

/// Copies of changes, in order, in chunks that are used again. Threads: one at a time.
class ChangeBuffer {
 public:
  /// `chunk_rows`: what a chunk holds, at most kChunkRows.
  ChangeBuffer(duckdb::vector<LogicalType> types, idx_t chunk_rows)
      : types_(std::move(types)), chunk_rows_(chunk_rows) {}

  /// Appends rows of the chunk: the first `count` that `selected` names, or all when it is null.
  void Append(const ChangeChunk& chunk, const SelectionVector* selected, idx_t count);
  idx_t Rows() const { return rows_; }
  idx_t Chunks() const { return used_; }
  ChangeChunk& Chunk(idx_t i) { return *chunks_[i]; }
  /// Forgets the rows.
  void Clear();
  /// And gives the memory back.
  void Free();

 private:
  ChangeChunk& WithRoom();

  const duckdb::vector<LogicalType> types_;
  const idx_t chunk_rows_;
  std::vector<std::unique_ptr<ChangeChunk>> chunks_;
  idx_t used_ = 0;
  idx_t rows_ = 0;
};

class ExchangeSender;

/// The way of one operator's output to one input of another, between all shards.
/// Threads: Send in each group of shards, Receive in each shard, never both at once.
class Exchange {
 public:
  /// `to`: the receiving operator in each shard. `groups`: of neighbouring shards, which send one
  /// after the other and share queues: in many small ones rows would come in small chunks.
  Exchange(duckdb::vector<LogicalType> types, std::vector<Operator*> to, idx_t port, idx_t groups);
  ~Exchange();

  struct Sender {
    ExpressionList keys;                 // Over the columns that it is given; none: all rows go to
                                         // the first shard.
    std::unique_ptr<Combiner> combiner;  // Null: rows move as they are.
    std::vector<idx_t> combined_keys;    // The columns of combined rows that are the keys.
    bool always = false;                 // Combines rows also when keys hardly repeat.
  };
  /// Makes the sender of the next group, which takes the place of the receivers as a target.
  Operator& AddSender(duckdb::ClientContext& context, Sender sender);
  /// Rows go on at once, in the thread that sends them, and who gets some is marked in `touched`,
  /// by shard; null: they wait.
  void SetDirect(std::vector<uint8_t>* touched) { touched_ = touched; }
  /// Rows that wait for shard `to`.
  idx_t Waiting(idx_t to) const;
  /// Takes the next chunk that waits for shard `to` through its operator; false when there is none.
  bool Receive(idx_t to);
  /// The shards of group `from` have sent all of a round: what its sender has combined goes on.
  void EndRound(idx_t from);
  /// How many rows the sender of group `from` has queued so far.
  idx_t Sent(idx_t from) const { return sent_[from].rows; }
  void Free();

 private:
  friend class ExchangeSender;
  struct Reader {
    idx_t from = 0;
    idx_t chunk = 0;
  };
  struct alignas(64) SentRows {
    idx_t rows = 0;
  };
  /// What one group has sent to a shard: the combined rows first.
  struct Queue {
    std::unique_ptr<ChangeBuffer> combined;  // Null: none ever.
    std::unique_ptr<ChangeBuffer> rows;
    idx_t CombinedChunks() const { return combined ? combined->Chunks() : 0; }
    idx_t Chunks() const { return CombinedChunks() + rows->Chunks(); }
    idx_t Rows() const { return (combined ? combined->Rows() : 0) + rows->Rows(); }
    void Clear();
  };
  /// The receiver in the first shard of a group.
  Operator& FirstOf(idx_t group) const { return *to_[group * to_.size() / groups_]; }
  Queue& QueueOf(idx_t from, idx_t to) { return queues_[from * to_.size() + to]; }
  const Queue& QueueOf(idx_t from, idx_t to) const { return queues_[from * to_.size() + to]; }
  idx_t ChunkRows() const;

  const duckdb::vector<LogicalType> types_;
  const std::vector<Operator*> to_;
  const idx_t port_;
  const idx_t groups_;
  std::vector<uint8_t>* touched_ = nullptr;
  std::vector<std::unique_ptr<ExchangeSender>> senders_;
  std::vector<Queue> queues_;
  std::vector<Reader> readers_;  // By shard that receives.
  std::vector<SentRows> sent_;   // By group that sends.
};

}  // namespace millrace
