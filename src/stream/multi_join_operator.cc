#include "stream/multi_join_operator.h"

#include <algorithm>

namespace millrace {

MultiJoinOperator::MultiJoinOperator(duckdb::ClientContext& context, StateArena& arena, Plan plan)
    : Operator({}, &arena),
      keys_(arena, plan.inputs[0].keys, std::move(plan.null_matches), plan.inputs.size()),
      output_(std::move(plan.output)),
      at_(plan.inputs.size()),
      out_rows_(plan.inputs.size()),
      out_kinds_(kChunkRows) {
  duckdb::vector<LogicalType> types;
  for (const Column& out : output_) {
    types.push_back(plan.inputs[out.input].types[out.column]);
    if (std::find(shown_.begin(), shown_.end(), out.input) != shown_.end()) continue;
    shown_.push_back(out.input);
    out_rows_[out.input].resize(kChunkRows);
  }
  SetTypes(types);
  if (!types.empty()) out_.Initialize(types);
  for (Input& input : plan.inputs) {
    group_of_.push_back(input.group);
    groups_.resize(std::max<idx_t>(groups_.size(), input.group + 1));
    groups_[input.group].push_back(sides_.size());
    sides_.push_back(std::make_unique<JoinSide>(context, arena, keys_, sides_.size(),
                                                std::move(input.keys), std::move(input.types)));
  }
}

std::unique_ptr<Operator> MultiJoinOperator::Copy(duckdb::ClientContext& context,
                                                  StateArena& arena) const {
  Plan plan;
  for (idx_t i = 0; i < sides_.size(); i++) {
    plan.inputs.push_back({CopyExpressions(sides_[i]->KeyValues().Expressions()),
                           sides_[i]->Layout().Types(), group_of_[i]});
  }
  plan.null_matches = keys_.NullMatches();
  plan.output = output_;
  return std::make_unique<MultiJoinOperator>(context, arena, std::move(plan));
}

ShardRule MultiJoinOperator::RuleOf(idx_t port) const {
  return ShardRule::ByKey(CopyExpressions(sides_[port]->KeyValues().Expressions()));
}

// Not of a group whose columns are NULL where it has no rows.
std::vector<std::optional<idx_t>> MultiJoinOperator::OutputsOf(idx_t port) const {
  const ExpressionList& keys = sides_[port]->KeyValues().Expressions();
  std::vector<std::optional<idx_t>> outputs(keys.size());
  if (group_of_[port] != 0) return outputs;
  for (idx_t i = 0; i < keys.size(); i++) {
    auto column = PlainColumn(*keys[i]);
    for (idx_t out = 0; column && out < output_.size() && !outputs[i]; out++) {
      if (output_[out].input == port && output_[out].column == *column) outputs[i] = out;
    }
  }
  return outputs;
}

ChangelogType MultiJoinOperator::Start(const std::vector<ChangelogType>& inputs) {
  bool all_append = groups_.size() == 1;
  for (idx_t i = 0; i < sides_.size(); i++) {
    sides_[i]->Start(inputs[i] == ChangelogType::kAppend);
    all_append = all_append && sides_[i]->AppendOnly();
  }
  return all_append ? ChangelogType::kAppend : ChangelogType::kFull;
}

void MultiJoinOperator::Push(idx_t port, ChangeChunk& chunk) {
  constexpr idx_t kAhead = 4;
  const idx_t count = chunk.size();
  if (count == 0) return;
  JoinSide& side = *sides_[port];
  ChangeChunk rest;
  if (!side.Pack(chunk, rest)) return Push(port, rest);
  side.FindKeys(chunk.rows, count);
  const bool alone = group_of_[port] == 0 && groups_[0].size() == 1;
  for (idx_t i = 0; i < count; i++) {
    if (i + kAhead < count) {
      uint8_t* key = side.Key(i + kAhead);
      for (idx_t other = 0; other < sides_.size(); other++) {
        __builtin_prefetch(keys_.First(key, other));
      }
      side.PrefetchRow(i + kAhead);
    }
    const int64_t weight = Weight(chunk.KindOf(i));
    if (keys_.IsNull(side.Key(i))) {
      if (alone) Product(port, side.Row(i), side.Key(i), weight);  // Which has no rows.
      continue;
    }
    // An update that keeps the key: its group does not come to be NULL in between.
    bool goes_on = weight < 0 && i + 1 < count && side.Key(i + 1) == side.Key(i) &&
                   Weight(chunk.KindOf(i + 1)) > 0;
    Change(port, i, weight, goes_on);
  }
  FlushOut();
  side.EraseUnusedKeys(count);
}

// What goes out are rows of other inputs and the chunk's own, never stored ones of this input: it
// may be stored, or go, before.
void MultiJoinOperator::Change(idx_t port, idx_t i, int64_t weight, bool goes_on) {
  JoinSide& side = *sides_[port];
  uint8_t* key = side.Key(i);
  const idx_t group = group_of_[port];
  const bool had = keys_.First(key, port) != nullptr || replaced_;
  Store(port, i, weight);
  replaced_ = false;
  if (!IsWhole(key, 0, port) || (group > 0 && !IsWhole(key, group, port))) return;
  const bool has = keys_.First(key, port) != nullptr;
  if (group > 0 && !had) Product(port, nullptr, key, -1);
  Product(port, side.Row(i), key, weight);
  if (group == 0 || has) return;
  if (goes_on) {
    replaced_ = true;
  } else {
    Product(port, nullptr, key, 1);
  }
}

void MultiJoinOperator::Store(idx_t port, idx_t i, int64_t weight) {
  JoinSide& side = *sides_[port];
  uint8_t* stored = side.Attach(i);
  side.Touch(stored);
  if (side.AppendOnly()) return;
  if (side.AddCopies(i, stored, weight) < 0) ThrowUnknownRow(Describe());
}

bool MultiJoinOperator::IsWhole(uint8_t* key, idx_t group, std::optional<idx_t> but) const {
  return std::all_of(groups_[group].begin(), groups_[group].end(), [&](idx_t input) {
    return input == but || keys_.First(key, input) != nullptr;
  });
}

void MultiJoinOperator::Product(idx_t port, uint8_t* own, uint8_t* key, int64_t weight) {
  moving_.clear();
  for (idx_t group = 0; group < groups_.size(); group++) {
    bool there = group == group_of_[port] ? own != nullptr : IsWhole(key, group);
    for (idx_t input : groups_[group]) {
      at_[input] = !there ? nullptr : input == port ? own : keys_.First(key, input);
      if (there && input != port) moving_.push_back(input);
    }
  }
  do {
    int64_t copies = weight;
    for (idx_t input : moving_) copies *= sides_[input]->Copies(at_[input]);
    Out(copies);
  } while (Advance(key));
}

bool MultiJoinOperator::Advance(uint8_t* key) {
  for (idx_t m = moving_.size(); m-- > 0;) {
    const idx_t input = moving_[m];
    at_[input] = sides_[input]->Next(at_[input]);
    if (at_[input]) return true;
    at_[input] = keys_.First(key, input);
  }
  return false;
}

void MultiJoinOperator::Out(int64_t weight) {
  const RowKind kind = weight > 0 ? RowKind::kInsert : RowKind::kDelete;
  for (int64_t n = weight > 0 ? weight : -weight; n > 0; n--) {
    for (idx_t input : shown_) out_rows_[input][out_count_] = at_[input];
    out_kinds_[out_count_++] = kind;
    out_deletes_ = out_deletes_ || weight < 0;
    if (out_count_ == kChunkRows) FlushOut();
  }
}

void MultiJoinOperator::FlushOut() {
  if (out_count_ == 0) return;
  out_.Reset();
  for (idx_t i = 0; i < output_.size(); i++) {
    const auto& [input, column] = output_[i];
    sides_[input]->Layout().Gather(column, out_rows_[input].data(), out_count_, out_.rows.data[i]);
  }
  out_.rows.SetCardinality(out_count_);
  if (out_deletes_) {
    out_.kinds.assign(out_kinds_.begin(),
                      out_kinds_.begin() + static_cast<std::ptrdiff_t>(out_count_));
  }
  out_count_ = 0;
  out_deletes_ = false;
  Emit(out_);
  out_.kinds.clear();
}

std::string MultiJoinOperator::Describe() const {
  std::string text;
  for (idx_t group = 0; group < groups_.size(); group++) {
    text += group > 0 ? ", LEFT" : fmt::format("JOIN OF {} ON", sides_.size());
    for (idx_t i = 0; i < groups_[group].size(); i++) {
      text += (i ? " = " : " ") + sides_[groups_[group][i]]->KeyValues().ToString();
    }
  }
  const auto& same = keys_.NullMatches();
  return std::find(same.begin(), same.end(), true) == same.end() ? text : text + " (NULL = NULL)";
}

std::string MultiJoinOperator::DescribeState() const {
  std::string text = fmt::format("{} keys, rows", keys_.Size());
  for (idx_t i = 0; i < sides_.size(); i++) {
    text += fmt::format("{} {}{}", i ? "," : "", sides_[i]->Stored(),
                        sides_[i]->AppendOnly() ? " (append)" : "");
  }
  return text;
}

std::vector<Tracked*> MultiJoinOperator::Stored() {
  std::vector<Tracked*> stored;  // The keys follow from the rows.
  for (auto& side : sides_) stored.push_back(side->Rows());
  return stored;
}

void MultiJoinOperator::Save(StateWriter& writer) {
  writer.PutTypes(keys_.Layout().Types());
  for (auto& side : sides_) side->SaveHead(writer);
  for (auto& side : sides_) side->SaveRows(writer);
}

void MultiJoinOperator::Load(StateReader& reader) {
  reader.ExpectTypes(keys_.Layout().Types());
  for (auto& side : sides_) side->LoadHead(reader);
  for (auto& side : sides_) side->LoadRows(reader);
}

int64_t MultiJoinOperator::StateBytes() const {
  int64_t bytes = keys_.Bytes();
  for (auto& side : sides_) bytes += side->Bytes();
  return bytes;
}

}  // namespace millrace
