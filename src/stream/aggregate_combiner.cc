#include "stream/aggregate_combiner.h"

#include <algorithm>

#include "stream/packed_rows.h"

namespace millrace {

namespace {

using duckdb::FlatVector;
using duckdb::hugeint_t;
using duckdb::PhysicalType;

/// Values below 2^110 of 2^16 rows add up to less than 2^127. Others are added one by one, lest a
/// sum overflows that does not where it is added up from the beginning.
constexpr int64_t kLargeUpper = int64_t(1) << 46;

bool SameRows(const AggregateCall& a, const AggregateCall& b, const ExpressionList& arguments) {
  auto same = [&](const std::optional<idx_t>& x, const std::optional<idx_t>& y) {
    return x && y ? arguments[*x]->Equals(*arguments[*y]) : x == y;
  };
  return same(a.argument, b.argument) && same(a.filter, b.filter);
}

class AggregateCombiner : public Combiner {
 public:
  AggregateCombiner(duckdb::ClientContext& context, StateArena& arena,
                    AggregateCombinerOptions options)
      : calls_(std::move(options.calls)),
        shape_(std::move(options.shape)),
        keys_(context, std::move(options.keys)),
        arguments_(context, std::move(options.arguments)) {
    auto initialize = [](DataChunk& chunk, const duckdb::vector<LogicalType>& types) {
      if (!types.empty()) chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types);
    };
    initialize(key_chunk_, keys_.Types());
    initialize(argument_chunk_, arguments_.Types());
    out_.Initialize(shape_.types);
    idx_t offset = sizeof(int64_t);
    accumulators_.resize(calls_.size());
    offsets_.resize(calls_.size());
    for (idx_t call = 0; call < calls_.size(); call++) {
      if (shape_.calls[call].by_value) continue;
      accumulators_[call] = Accumulator::Make(arena, calls_[call], options.append_only);
      offsets_[call] = offset;
      offset += accumulators_[call]->Bytes();
    }
    duckdb::vector<LogicalType> types = keys_.Types();
    for (idx_t call : shape_.value_of) types.push_back(calls_[call].argument_type);
    // Not canonical: values that are equal and look different are kept apart, as the receiver may.
    table_ = std::make_unique<RowTable>(arena, RowLayout(types), offset);
  }

  const duckdb::vector<LogicalType>& Types() const override { return shape_.types; }
  idx_t Rows() const override { return rows_; }
  idx_t Combined() const override { return combined_.size(); }

  bool Add(ChangeChunk& chunk) override {
    idx_t count = chunk.size();
    keys_.Evaluate(chunk.rows, key_chunk_);
    arguments_.Evaluate(chunk.rows, argument_chunk_);
    if (AnyLarge(count)) return false;
    weights_.resize(count);
    for (idx_t i = 0; i < count; i++) weights_[i] = Weight(chunk.KindOf(i));
    Find(count);
    states_.resize(count);
    for (idx_t call = 0; call < calls_.size(); call++) {
      if (accumulators_[call]) Update(call, count);
    }
    rows_ += count;
    return true;
  }

  void Flush(const ChangeReceiver& next) override {
    for (idx_t start = 0; start < combined_.size(); start += kChunkRows) {
      Tell(combined_.data() + start, std::min<idx_t>(kChunkRows, combined_.size() - start));
      next(out_);
    }
    for (idx_t call = 0; call < calls_.size(); call++) {
      if (!accumulators_[call] || accumulators_[call]->StateBytes() == 0) continue;
      for (uint8_t* row : combined_) accumulators_[call]->Drop(StateOf(row, call));
    }
    combined_.clear();
    table_->Clear();
    rows_ = 0;
  }

 private:
  uint8_t* StateOf(uint8_t* row, idx_t call) const {
    return row + table_->Layout().Width() + offsets_[call];
  }

  bool AnyLarge(idx_t count) {
    for (idx_t call = 0; call < calls_.size(); call++) {
      const AggregateCall& what = calls_[call];
      bool sums = what.kind == AggregateKind::kSum || what.kind == AggregateKind::kAvg;
      if (!accumulators_[call] || !sums) continue;
      Vector& argument = argument_chunk_.data[*what.argument];
      if (argument.GetType().InternalType() != PhysicalType::INT128) continue;
      UnifiedVectorFormat format;
      argument.ToUnifiedFormat(count, format);
      auto values = UnifiedVectorFormat::GetData<hugeint_t>(format);
      for (idx_t i = 0; i < count; i++) {
        idx_t at = format.sel->get_index(i);
        if (!format.validity.RowIsValid(at)) continue;
        if (values[at].upper >= kLargeUpper || values[at].upper < -kLargeUpper) return true;
      }
    }
    return false;
  }

  /// Finds the combined rows of the evaluated ones, and adds the weights to them.
  void Find(idx_t count) {
    std::vector<Vector*> columns;
    std::vector<Vector> passed;
    passed.reserve(shape_.value_of.size());
    for (Vector& key : key_chunk_.data) columns.push_back(&key);
    for (idx_t call : shape_.value_of) columns.push_back(ValueOf(calls_[call], count, passed));
    batch_.Fill(table_->Layout(), columns, count, true);
    found_.resize(count);
    table_->FindOrCreateAll(
        count, [&](idx_t i) { return batch_.HashOf(i); },
        [&](idx_t i, uint64_t hash) {
          bool created;
          found_[i] = table_->FindOrCreate(batch_.Row(i), hash, created);
          if (created) combined_.push_back(found_[i]);
          table_->Payload<int64_t>(found_[i]) += weights_[i];
        });
  }

  /// The argument, NULL where a row does not pass the filter: what keeps values leaves NULL out.
  Vector* ValueOf(const AggregateCall& call, idx_t count, std::vector<Vector>& passed) {
    Vector& argument = argument_chunk_.data[*call.argument];
    if (!call.filter) return &argument;
    passed.emplace_back(argument.GetType(), count);
    duckdb::VectorOperations::Copy(argument, passed.back(), count, 0, 0);
    const int64_t* weights =
        FilteredWeights(argument_chunk_.data[*call.filter], count, weights_.data(), passed_);
    for (idx_t i = 0; i < count; i++) {
      if (weights[i] == 0) FlatVector::SetNull(passed.back(), i, true);
    }
    return &passed.back();
  }

  void Update(idx_t call, idx_t count) {
    const AggregateCall& what = calls_[call];
    for (idx_t i = 0; i < count; i++) states_[i] = StateOf(found_[i], call);
    const int64_t* weights = weights_.data();
    if (what.filter) {
      weights = FilteredWeights(argument_chunk_.data[*what.filter], count, weights, passed_);
    }
    Vector* argument = what.argument ? &argument_chunk_.data[*what.argument] : nullptr;
    accumulators_[call]->Update(argument, count, states_.data(), nullptr, weights);
  }

  void Tell(uint8_t** rows, idx_t count) {
    out_.Reset();
    auto& columns = out_.rows.data;
    const idx_t keys = shape_.rows;
    for (idx_t i = 0; i < table_->Layout().Columns(); i++) {
      table_->Layout().Gather(i, rows, count, columns[i < keys ? i : i + 1]);
    }
    auto weights = FlatVector::GetData<int64_t>(columns[shape_.rows]);
    for (idx_t i = 0; i < count; i++) weights[i] = table_->Payload<int64_t>(rows[i]);
    states_.resize(count);
    for (idx_t call = 0; call < calls_.size(); call++) {
      if (!accumulators_[call]) continue;
      for (idx_t i = 0; i < count; i++) states_[i] = StateOf(rows[i], call);
      accumulators_[call]->TellSums(states_.data(), count, &columns[shape_.calls[call].column]);
    }
    out_.rows.SetCardinality(count);
  }

  const std::vector<AggregateCall> calls_;
  const CombinedShape shape_;
  Evaluator keys_;
  Evaluator arguments_;
  DataChunk key_chunk_;
  DataChunk argument_chunk_;
  std::vector<std::unique_ptr<Accumulator>> accumulators_;  // By call; null: by value.
  std::vector<idx_t> offsets_;
  std::unique_ptr<RowTable> table_;  // A row's payload: its weight, then sums.
  std::vector<uint8_t*> combined_;   // Its rows, as they came.
  idx_t rows_ = 0;

  RowBatch batch_;
  std::vector<uint8_t*> found_;
  std::vector<uint8_t*> states_;
  std::vector<int64_t> weights_;
  std::vector<int64_t> passed_;
  ChangeChunk out_;
};

}  // namespace

std::optional<CombinedShape> ShapeOfCombined(StateArena& arena,
                                             const duckdb::vector<LogicalType>& keys,
                                             const ExpressionList& arguments,
                                             const std::vector<AggregateCall>& calls,
                                             bool append_only) {
  CombinedShape shape;
  shape.types = keys;
  shape.rows = shape.types.size();
  shape.types.push_back(LogicalType::BIGINT);
  shape.calls.resize(calls.size());
  for (idx_t call = 0; call < calls.size(); call++) {
    Combining how = CombiningOf(calls[call], append_only);
    if (how == Combining::kNever) return std::nullopt;
    if (how == Combining::kSum) continue;
    auto same = [&](idx_t other) { return SameRows(calls[other], calls[call], arguments); };
    auto known = std::find_if(shape.value_of.begin(), shape.value_of.end(), same);
    shape.calls[call] = {true, shape.rows + 1 + static_cast<idx_t>(known - shape.value_of.begin())};
    if (known != shape.value_of.end()) continue;
    shape.value_of.push_back(call);
    shape.types.push_back(calls[call].argument_type);
  }
  for (idx_t call = 0; call < calls.size(); call++) {
    if (shape.calls[call].by_value) continue;
    shape.calls[call].column = shape.types.size();
    auto sums = Accumulator::Make(arena, calls[call], append_only)->SumTypes();
    shape.types.insert(shape.types.end(), sums.begin(), sums.end());
  }
  return shape;
}

std::unique_ptr<Combiner> MakeAggregateCombiner(duckdb::ClientContext& context, StateArena& arena,
                                                AggregateCombinerOptions options) {
  return std::make_unique<AggregateCombiner>(context, arena, std::move(options));
}

}  // namespace millrace
