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

#include "stream/change_buffer.h"
#include "stream/operator.h"
#include "stream/shard_plan.h"

namespace millrace {

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
  const duckdb::vector<LogicalType>& Types() const { return types_; }
  /// Rows that wait for shard `to`.
  idx_t Waiting(idx_t to) const;
  /// Takes the next chunk that waits for shard `to` through its operator; false when there is none.
  bool Receive(idx_t to);
  /// The shards of group `from` have sent all of a round: what its sender has combined goes on.
  void EndRound(idx_t from);
  /// How many rows the sender of group `from` has queued so far.
  idx_t Sent(idx_t from) const { return sent_[from].rows; }
  void Free();
  /// Of each queue about `most` rows stay in memory; null: all. REQUIRES: nothing waits.
  void SetSpool(ChangeSpool* spool, idx_t most);

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
