// sharded_run.h - the operators of a dataflow in several shards, run by several threads.
//
// Every shard has all operators, each with the state of the rows that are in that shard
// (shard_plan.h). A step of few rows runs in the caller's thread, rows going to their shard at
// once. In others, rows wait for the step's end (or until they are many) and are then taken through
// level by level: first each shard takes a stretch of the input as far as the first exchanges, then
// what has come to it there, and so on. The shards of a level are parts of work for free threads.
//
// Fan-out does not pile up: a shard that has sent many rows stops, and the levels above go first.
// The order of output depends on the rows alone: level by level, shard by shard.
#pragma once

#include "stream/exchange.h"

namespace millrace {

class WorkerPool;

/// Threads: owned by its job; it uses the pool's within calls. Throws: what the operators throw, of
/// several failures one.
class ShardedRun {
 public:
  struct Shard {
    StateArena* arena;
    std::vector<Operator*> operators;  // In topological order, the same in each.
    std::vector<Operator*> entries;    // By input.
    Operator* top;
  };
  struct Options {
    idx_t threads = 1;
    WorkerPool* workers = nullptr;  // May be.
    idx_t small_rows = 4096;        // Steps and levels of fewer run in the caller's thread.
    idx_t input_rows = 128 << 10;   // Rows of input that wait at most.
    bool always_combine = false;    // Also where keys hardly repeat.
  };
  /// Puts exchanges between the operators. REQUIRES: a transaction of `context`, which some
  /// functions ask for when they are copied or their state is made.
  ShardedRun(duckdb::ClientContext& context, std::vector<Shard> shards, ShardPlan plan,
             const Options& options);
  ~ShardedRun();

  void Push(idx_t input, ChangeChunk& chunk, const ChangeReceiver& out);
  /// Rows for an operator of the first shard that has no inputs.
  void PushConstant(Operator& entry, ChangeChunk& chunk, const ChangeReceiver& out);
  void EndStep(const ChangeReceiver& out);
  /// As Dataflow's; between steps.
  idx_t WantedRows() const;
  void SetRoundRows(idx_t rows);
  /// Gives the buffers of large steps back, between steps.
  void Free();
  const ShardPlan& Plan() const { return plan_; }
  /// Who works at a shard's arena in another way than by a step takes a turn, too.
  StateTurns& Turns() { return turns_; }

 private:
  struct Edge {
    idx_t from_level;
    idx_t level;
    std::unique_ptr<Exchange> exchange;
  };
  struct Input {
    std::unique_ptr<ChangeBuffer> rows;
    std::vector<idx_t> ends;  // By group: where its stretch of chunks ends.
  };
  struct alignas(64) Progress {
    std::unique_ptr<ChangeBuffer> output;
    ChangeReceiver receiver;
    idx_t output_rows = 0;
    bool done = false;  // With the level at hand.
  };

  void Connect();
  void CountWaiting();
  void AddExchange(idx_t op, idx_t port);
  /// What is over with the rows at hand.
  enum class Ends : uint8_t { kNothing, kRound, kStep };

  void RunDirect();
  /// Takes what has come in through level 0.
  void TakeIn(Ends ends);
  /// And what waits above it through the others. `ends`: the round or the step.
  void RunLevels(Ends ends);
  void TakeThrough(idx_t level, Ends ends);
  /// Null: none. Between steps.
  void UseSpool(ChangeSpool* spool);
  void DivideInput();
  bool AnyWaits(idx_t level) const;
  idx_t Waiting(idx_t shard, idx_t level) const;
  void RunLevel(idx_t level, const std::function<void(idx_t)>& work);
  void TakeInput(idx_t shard);
  /// All of the round or step has gone through the level in this shard.
  void EndLevel(idx_t shard, idx_t level, Ends ends);
  /// State is on disk, so that rows wait until they are many.
  bool LargeRounds() const { return round_rows_ > options_.input_rows; }
  /// False when the shard has sent so much that others should go first.
  [[nodiscard]] bool Receive(idx_t shard, idx_t level);
  /// A group's shards are worked at one after the other, by one thread.
  idx_t GroupOf(idx_t shard) const { return shard * groups_ / shards_.size(); }
  /// What it has put out and its group has sent, ever.
  idx_t Sent(idx_t shard) const;
  void EmitOutput(idx_t shard, ChangeChunk& chunk);
  void Deliver();
  void SetDirect(bool direct);

  duckdb::ClientContext& context_;
  const std::vector<Shard> shards_;
  const ShardPlan plan_;
  const Options options_;
  StateTurns turns_;
  const idx_t groups_;
  std::vector<std::unique_ptr<StateArena>> combining_;  // By group: what its senders combine in.
  std::vector<Edge> edges_;
  std::vector<std::vector<idx_t>> levels_;  // The operators of each, in order.
  std::vector<Input> inputs_;
  idx_t input_rows_ = 0;
  int64_t row_bytes_ = 0;         // Of what waits for a row of a round, about.
  int64_t buffer_row_bytes_ = 0;  // Of a row in each buffer.
  bool can_spool_ = false;
  bool spooling_ = false;  // The buffers know spool_.
  std::unique_ptr<ChangeSpool> spool_;
  idx_t round_rows_;                // Rows that wait below level 1 and above at most.
  idx_t direct_rows_;               // A step of fewer runs in the caller's thread.
  bool large_ = false;              // A step was, since buffers were last given back.
  bool first_round_ = true;         // Nothing of the step has been taken through.
  std::vector<idx_t> level_rows_;   // Of this step.
  std::vector<Progress> progress_;  // By shard.
  std::vector<uint8_t> touched_;    // By shard: it has work in this small step (or never had).
  bool inline_ = true;              // In the caller's thread: output goes out at once.
  const ChangeReceiver* out_ = nullptr;
};

}  // namespace millrace
