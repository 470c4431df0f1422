// operator.h - one node of a compiled query: takes the change of its inputs, emits the change of
// its output.
//
// Stateless operators emit at once and keep order and kinds. Stateful ones consolidate within the
// step and emit at EndStep, -old then +new per key; joins emit at once, every prefix of what they
// emit being a valid multiset. EndStep is called in topological order. Rule, state and cost of
// each: docs/internals/operators.md.
#pragma once

#include "base/change_chunk.h"
#include "stream/combiner.h"
#include "stream/expressions.h"
#include "stream/operator_meter.h"
#include "stream/state_format.h"

namespace millrace {

/// Columns whose values are unique in an output; empty: at most one row.
using UniqueKey = std::vector<idx_t>;

/// Which rows of an input must meet in one shard of a dataflow (shard_plan.h).
struct ShardRule {
  enum class Kind : uint8_t {
    kAny,    // Each row by itself.
    kByKey,  // Rows in which all `keys` are the same, NULL being the same as NULL.
    kOne,    // All.
  };
  Kind kind = Kind::kAny;
  ExpressionList keys;       // Over the input's columns.
  bool one_will_do = false;  // By key, but not worth spreading what is in one shard already.

  static ShardRule One() { return {Kind::kOne, {}, false}; }
  static ShardRule ByKey(ExpressionList keys) { return {Kind::kByKey, std::move(keys), false}; }
  /// By the values of columns; all in one shard when there are none.
  static ShardRule ByColumns(const duckdb::vector<LogicalType>& types,
                             const std::vector<idx_t>& columns);
};

/// Outputs of an operator that hands its first `count` columns on as they are.
inline std::vector<std::optional<idx_t>> EachColumn(idx_t count) {
  std::vector<std::optional<idx_t>> outputs(count);
  for (idx_t i = 0; i < count; i++) outputs[i] = i;
  return outputs;
}

/// A node of the dataflow. It must not change the chunks it is given.
///
/// Threads: one at a time; it shares nothing that changes with other operators. Throws:
/// Error(kData) when a row cannot be evaluated or does not fit the state.
class Operator {
 public:
  /// `arena`: where its state lies; what it holds in memory is looked after at each output.
  explicit Operator(duckdb::vector<LogicalType> types, StateArena* arena = nullptr)
      : arena_(arena), types_(std::move(types)) {}
  virtual ~Operator() = default;

  /// Push and EndStep, counted: how operators and dataflows call them.
  void Take(idx_t port, ChangeChunk& chunk) {
    meter_.CountIn(chunk.size());
    OperatorMeter::Span span(&meter_);
    if (arena_) arena_->Enter(section_);
    Push(port, chunk);
  }
  /// Merge, counted; the rows were by TakeThrough.
  void TakeCombined(ChangeChunk& combined) {
    OperatorMeter::Span span(&meter_);
    Merge(combined);
  }
  /// Gives rows to a combiner that it has made, which is a part of its work. False: as Add.
  [[nodiscard]] bool TakeThrough(Combiner& combiner, ChangeChunk& chunk) {
    OperatorMeter::Span span(&meter_);
    if (!combiner.Add(chunk)) return false;
    meter_.CountIn(chunk.size());
    return true;
  }
  void CloseStep() {
    OperatorMeter::Span span(&meter_);
    if (arena_) arena_->Enter(section_);
    EndStep();
  }
  OperatorFigures Figures() const { return meter_.Read(); }
  /// StateBytes, told to those who ask for Figures, too.
  int64_t NoteStateBytes() const {
    int64_t bytes = StateBytes();
    meter_.SetState(bytes);
    return bytes;
  }
  /// The same without inputs and state. REQUIRES: Start has not been called.
  virtual std::unique_ptr<Operator> Copy(duckdb::ClientContext& context,
                                         StateArena& arena) const = 0;
  virtual ShardRule RuleOf(idx_t /*port*/) const { return {}; }
  /// Where values of an input stand in the output, in every row: of each key of its rule, or of
  /// each column where there is no rule. nullopt: nowhere.
  virtual std::vector<std::optional<idx_t>> OutputsOf(idx_t port) const = 0;

  /// Whether rows of its input may be combined before they move to their shard, and what does it.
  /// REQUIRES: Start.
  virtual bool Combines() const { return false; }
  virtual std::unique_ptr<Combiner> MakeCombiner(duckdb::ClientContext&, StateArena&) const {
    return nullptr;
  }
  /// Takes what a combiner has made of rows of its input.
  virtual void Merge(ChangeChunk& /*combined*/) {}

  /// Takes the changes of input `port`.
  virtual void Push(idx_t port, ChangeChunk& chunk) = 0;
  virtual void EndStep() {}
  /// Given the changelog types of the inputs, prepares the state and tells the type of the output.
  virtual ChangelogType Start(const std::vector<ChangelogType>& inputs) = 0;
  /// Rule and parameters in one line.
  virtual std::string Describe() const = 0;
  /// What is kept, for EXPLAIN, with numbers of rows; empty: nothing.
  virtual std::string DescribeState() const { return ""; }
  virtual bool HasState() const { return false; }
  virtual void Save(StateWriter&) {}
  /// Reads what one Save wrote: all, or the changes to what has been read before.
  virtual void Load(StateReader&) {}
  /// All has been read.
  virtual void FinishLoad() {}
  /// What Save writes the rows of. REQUIRES: Start.
  virtual std::vector<Tracked*> Stored() { return {}; }
  virtual int64_t StateBytes() const { return 0; }

  const duckdb::vector<LogicalType>& Types() const { return types_; }
  const std::vector<Operator*>& Inputs() const { return inputs_; }
  void AddInput(Operator& input) {
    input.targets_.push_back({this, inputs_.size()});
    inputs_.push_back(&input);
  }
  /// From now on what went to input `port` of `to` goes to `by` instead.
  void Redirect(Operator& to, idx_t port, Operator& by) {
    for (Target& target : targets_) {
      if (target.to == &to && target.port == port) target = {&by, 0};
    }
  }
  /// Which section of its arena its state goes to.
  void SetSection(uint8_t section) { section_ = section; }
  uint8_t Section() const { return section_; }
  void SetTypes(duckdb::vector<LogicalType> types) { types_ = std::move(types); }
  /// Sends to `receiver` as well; the last operator of a dataflow.
  void SetReceiver(const ChangeReceiver* receiver) { receiver_ = receiver; }

  std::vector<UniqueKey> unique_keys;  // Derived when compiled.
  bool ordered = false;       // No stateful operator up to here: order and pairs are the input's.
  bool consolidated = false;  // Emits each row at most once per step, net.
  ChangelogType type = ChangelogType::kFull;

 protected:
  void Emit(ChangeChunk& chunk) {
    if (chunk.size() == 0) return;
    meter_.CountOut(chunk.size());
    for (const Target& target : targets_) target.to->Take(target.port, chunk);
    if (receiver_) {
      OperatorMeter::Span outside(nullptr);
      (*receiver_)(chunk);
    }
    if (!arena_) return;
    arena_->Enter(section_);  // Others have worked at theirs.
    arena_->Balance();
  }

  StateArena* const arena_;

 private:
  struct Target {
    Operator* to;
    idx_t port;
  };
  duckdb::vector<LogicalType> types_;
  std::vector<Operator*> inputs_;
  std::vector<Target> targets_;
  const ChangeReceiver* receiver_ = nullptr;
  uint8_t section_ = 0;
  mutable OperatorMeter meter_;
};

/// Collects packed rows as changes and emits them in full chunks.
class RowEmitter {
 public:
  using Flush = std::function<void(ChangeChunk&)>;
  RowEmitter(const RowLayout& layout, Flush flush) : layout_(layout), flush_(std::move(flush)) {
    chunk_.Initialize(layout.Types());
  }
  void Add(const uint8_t* row, RowKind kind) {
    rows_.push_back(row);
    chunk_.kinds.push_back(kind);
    if (rows_.size() == kChunkRows) Finish();
  }
  void AddWeighted(const uint8_t* row, int64_t weight) {
    for (; weight > 0; weight--) Add(row, RowKind::kInsert);
    for (; weight < 0; weight++) Add(row, RowKind::kDelete);
  }
  /// The -U and +U of one update, in one chunk.
  void AddPair(const uint8_t* before, const uint8_t* after) {
    if (rows_.size() + 2 > kChunkRows) Finish();
    Add(before, RowKind::kUpdateBefore);
    Add(after, RowKind::kUpdateAfter);
  }
  void Finish();

 private:
  const RowLayout& layout_;
  Flush flush_;
  std::vector<const uint8_t*> rows_;
  ChangeChunk chunk_;
};

[[noreturn]] inline void ThrowUnknownRow(const std::string& where) {
  Throw(ErrorCode::kData,
        "{}: a row is deleted that was never inserted; an input leaves out rows or old values. "
        "Read it from its "
        "beginning, or give the table a primary key and read it as upserts",
        where);
}

}  // namespace millrace
