#include "stream/aggregate_operator.h"

#include <algorithm>

namespace millrace {

namespace {

constexpr idx_t kGroupsAtOnce = kChunkRows / 2;  // Each may emit two rows.

duckdb::vector<LogicalType> ResultTypes(const std::vector<AggregateCall>& calls) {
  duckdb::vector<LogicalType> types;
  for (auto& call : calls) types.push_back(call.result_type);
  return types;
}

void InitializeChunk(DataChunk& chunk, const duckdb::vector<LogicalType>& types) {
  if (!types.empty()) chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types);
}

}  // namespace

/// Finds groups by their ids, while state is loaded.
class AggregateOperator::GroupsById {
 public:
  explicit GroupsById(StateArena& arena)
      : ids_(arena, RowLayout({LogicalType::UBIGINT}), sizeof(uint8_t*)),
        row_(ids_.Layout().Width()) {
    RowLayout::MarkLive(row_.data());
  }
  /// From here to Finish all ids are new, and none is looked for.
  void Begin() { filler_.emplace(ids_); }
  void Finish() {
    if (filler_) filler_->Finish();
    filler_.reset();
  }
  void Add(uint64_t id, uint8_t* group) {
    bool created;
    uint64_t hash = Pack(id);
    uint8_t* added =
        filler_ ? filler_->Add(row_.data(), hash) : ids_.FindOrCreate(row_.data(), hash, created);
    ids_.Payload<uint8_t*>(added) = group;
  }
  uint8_t* Find(uint64_t id) {
    uint64_t hash = Pack(id);
    uint8_t* found = ids_.Find(row_.data(), hash);
    return found ? ids_.Payload<uint8_t*>(found) : nullptr;
  }

 private:
  uint64_t Pack(uint64_t id) {
    memcpy(const_cast<uint8_t*>(ids_.Layout().ValueAt(row_.data(), 0)), &id, sizeof(id));
    return ids_.Layout().Hash(row_.data());
  }

  RowTable ids_;
  std::optional<RowTable::Filler> filler_;
  std::vector<uint8_t> row_;
};

AggregateOperator::~AggregateOperator() = default;

AggregateOperator::AggregateOperator(duckdb::ClientContext& context, StateArena& arena, Plan plan)
    : Operator({}, &arena),
      plan_(std::move(plan)),
      keys_(context, std::move(plan_.groups)),
      arguments_(context, std::move(plan_.arguments)),
      touched_(arena) {
  duckdb::vector<LogicalType> types = plan_.group_types;
  for (auto& type : ResultTypes(plan_.calls)) types.push_back(type);
  for (idx_t i = 0; i < plan_.groupings.size(); i++) types.push_back(LogicalType::BIGINT);
  SetTypes(types);
  InitializeChunk(key_chunk_, keys_.Types());
  InitializeChunk(argument_chunk_, arguments_.Types());
  InitializeChunk(results_, ResultTypes(plan_.calls));
  results_layout_ = RowLayout(ResultTypes(plan_.calls));
  out_.Initialize(Types());
}

std::unique_ptr<Operator> AggregateOperator::Copy(duckdb::ClientContext& context,
                                                  StateArena& arena) const {
  Plan plan;
  plan.groups = CopyExpressions(keys_.Expressions());
  plan.arguments = CopyExpressions(arguments_.Expressions());
  plan.calls = plan_.calls;
  plan.group_outputs = plan_.group_outputs;
  plan.group_types = plan_.group_types;
  plan.groupings = plan_.groupings;
  plan.always_one_row = plan_.always_one_row;
  return std::make_unique<AggregateOperator>(context, arena, std::move(plan));
}

ShardRule AggregateOperator::RuleOf(idx_t) const {
  if (keys_.Empty()) return ShardRule::One();
  return ShardRule::ByKey(CopyExpressions(keys_.Expressions()));
}

std::vector<std::optional<idx_t>> AggregateOperator::OutputsOf(idx_t) const {
  std::vector<std::optional<idx_t>> outputs(keys_.Expressions().size());
  for (idx_t i = 0; i < plan_.group_outputs.size(); i++) {
    if (plan_.group_outputs[i]) outputs[*plan_.group_outputs[i]] = i;
  }
  return outputs;
}

ChangelogType AggregateOperator::Start(const std::vector<ChangelogType>& inputs) {
  append_only_ = inputs[0] == ChangelogType::kAppend;
  idx_t offset = sizeof(Head);
  for (auto& call : plan_.calls) {
    accumulators_.push_back(Accumulator::Make(*arena_, call, append_only_));
    state_offsets_.push_back(offset);
    offset += accumulators_.back()->Bytes();
  }
  emitted_offset_ = offset;
  offset += results_layout_.Width();
  groups_ = std::make_unique<RowTable>(*arena_, RowLayout(keys_.Types(), true), offset);
  combined_ =
      ShapeOfCombined(*arena_, keys_.Types(), arguments_.Expressions(), plan_.calls, append_only_);
  for (idx_t i = 0; i < keys_.Expressions().size(); i++) combined_keys_.push_back(i);
  return ChangelogType::kFull;
}

void AggregateOperator::Push(idx_t, ChangeChunk& chunk) {
  idx_t count = chunk.size();
  if (count == 0) return;
  keys_.Evaluate(chunk.rows, key_chunk_);
  arguments_.Evaluate(chunk.rows, argument_chunk_);
  key_chunk_.SetCardinality(count);
  batch_.Fill(groups_->Layout(), key_chunk_, nullptr, true);
  weights_.resize(count);
  for (idx_t i = 0; i < count; i++) weights_[i] = Weight(chunk.KindOf(i));
  FindGroups(count);
  for (idx_t call = 0; call < plan_.calls.size(); call++) Update(call, count);
}

void AggregateOperator::FindGroups(idx_t count) {
  rows_.resize(count);
  groups_->FindOrCreateAll(batch_, count, rows_.data());
  ids_.resize(count);
  for (idx_t i = 0; i < count; i++) {
    Head& head = HeadOf(rows_[i]);
    if (head.id == 0) head.id = next_id_++;
    head.rows += weights_[i];
    ids_[i] = head.id;
    if (!head.touched) {
      head.touched = 1;
      touched_.Add(rows_[i]);
    }
  }
  states_.resize(count);
}

std::unique_ptr<Combiner> AggregateOperator::MakeCombiner(duckdb::ClientContext& context,
                                                          StateArena& arena) const {
  if (!combined_) return nullptr;
  return MakeAggregateCombiner(
      context, arena,
      {CopyExpressions(keys_.Expressions()), CopyExpressions(arguments_.Expressions()), plan_.calls,
       *combined_, append_only_});
}

void AggregateOperator::Merge(ChangeChunk& combined) {
  idx_t count = combined.size();
  auto& columns = combined.rows.data;
  batch_.Fill(groups_->Layout(), combined.rows, &combined_keys_, true);
  auto rows = duckdb::FlatVector::GetData<int64_t>(columns[combined_->rows]);
  weights_.assign(rows, rows + count);
  FindGroups(count);
  for (idx_t call = 0; call < plan_.calls.size(); call++) {
    const CombinedShape::Call& shape = combined_->calls[call];
    for (idx_t i = 0; i < count; i++) states_[i] = StateOf(rows_[i], call);
    if (shape.by_value) {
      accumulators_[call]->Update(&columns[shape.column], count, states_.data(), ids_.data(),
                                  weights_.data());
    } else {
      accumulators_[call]->AddSums(&columns[shape.column], count, states_.data());
    }
  }
}

void AggregateOperator::Update(idx_t call, idx_t count) {
  const AggregateCall& what = plan_.calls[call];
  for (idx_t i = 0; i < count; i++) states_[i] = StateOf(rows_[i], call);
  const int64_t* weights = weights_.data();
  if (what.filter) {
    weights = FilteredWeights(argument_chunk_.data[*what.filter], count, weights, call_weights_);
  }
  Vector* argument = what.argument ? &argument_chunk_.data[*what.argument] : nullptr;
  accumulators_[call]->Update(argument, count, states_.data(), ids_.data(), weights);
}

void AggregateOperator::EnsureGlobalGroup() {
  if (!plan_.always_one_row || groups_->Size() > 0) return;
  std::vector<uint8_t> row(groups_->Layout().Width());
  RowLayout::MarkLive(row.data());
  bool created;
  uint8_t* group = groups_->FindOrCreate(row.data(), groups_->Layout().Hash(row.data()), created);
  HeadOf(group).id = next_id_++;
  HeadOf(group).touched = 1;
  touched_.Add(group);
}

void AggregateOperator::EndStep() {
  EnsureGlobalGroup();
  for (idx_t start = 0, count; start < touched_.size(); start += count) {
    uint8_t** groups = touched_.Stretch(start, kGroupsAtOnce, count);
    EmitGroups(groups, count);
  }
  touched_.Clear();
}

void AggregateOperator::EmitGroups(uint8_t** groups, idx_t count) {
  results_.Reset();
  states_.resize(count);
  for (idx_t call = 0; call < plan_.calls.size(); call++) {
    for (idx_t i = 0; i < count; i++) states_[i] = StateOf(groups[i], call);
    accumulators_[call]->Finalize(states_.data(), count, results_.data[call]);
  }
  results_.SetCardinality(count);
  fresh_.Fill(results_layout_, results_, nullptr, false);
  std::vector<const uint8_t*> keys, values;
  out_.Reset();
  auto add = [&](const uint8_t* group, const uint8_t* result, RowKind kind) {
    keys.push_back(group);
    values.push_back(result);
    out_.kinds.push_back(kind);
  };
  for (idx_t i = 0; i < count; i++) {
    Head& head = HeadOf(groups[i]);
    if (head.rows < 0) ThrowUnknownRow("Grouping");
    bool present = head.rows > 0 || plan_.always_one_row;
    if (head.emitted && present) {
      if (results_layout_.Equal(EmittedOf(groups[i]), fresh_.Row(i))) continue;
      add(groups[i], EmittedOf(groups[i]), RowKind::kUpdateBefore);
      add(groups[i], fresh_.Row(i), RowKind::kUpdateAfter);
    } else if (head.emitted) {
      add(groups[i], EmittedOf(groups[i]), RowKind::kDelete);
    } else if (present) {
      add(groups[i], fresh_.Row(i), RowKind::kInsert);
    }
  }
  idx_t column = 0;
  for (auto& output : plan_.group_outputs) {
    if (output) {
      groups_->Layout().Gather(*output, keys.data(), keys.size(), out_.rows.data[column++]);
    } else {
      out_.rows.data[column].Reference(Value(Types()[column]));
      column++;
    }
  }
  for (idx_t i = 0; i < plan_.calls.size(); i++) {
    results_layout_.Gather(i, values.data(), values.size(), out_.rows.data[column++]);
  }
  for (int64_t grouping : plan_.groupings) {
    out_.rows.data[column++].Reference(Value::BIGINT(grouping));
  }
  out_.rows.SetCardinality(keys.size());
  Emit(out_);
  for (idx_t i = 0; i < count; i++) {
    Head& head = HeadOf(groups[i]);
    head.touched = 0;
    groups_->Touch(groups[i]);
    groups_->Strings().Release(results_layout_, EmittedOf(groups[i]));
    head.emitted = head.rows > 0 || plan_.always_one_row;
    if (head.emitted) {
      memcpy(EmittedOf(groups[i]), fresh_.Row(i), results_layout_.Width());
      groups_->Strings().Intern(results_layout_, EmittedOf(groups[i]));
    } else {
      for (idx_t call = 0; call < plan_.calls.size(); call++) {
        accumulators_[call]->Drop(StateOf(groups[i], call));
      }
      groups_->Erase(groups[i]);
    }
  }
}

std::string AggregateOperator::Describe() const {
  std::string calls;
  for (auto& call : plan_.calls) calls += (calls.empty() ? "" : ", ") + call.text;
  return "AGGREGATE " + calls + (keys_.Empty() ? "" : " BY " + keys_.ToString());
}

std::string AggregateOperator::DescribeState() const {
  std::string text =
      fmt::format("{} groups, each with its last result", groups_ ? groups_->Size() : 0);
  for (auto& accumulator : accumulators_) text += ", " + accumulator->DescribeState();
  return text;
}

/// A group's row: its key, its head, what the accumulators keep in it, the results last emitted.
RecordParts AggregateOperator::Parts() const {
  idx_t payload = groups_->Layout().Width();
  RecordParts parts = {RecordPart::Columns(groups_->Layout()),
                       RecordPart::Plain(payload, sizeof(Head)),
                       RecordPart::Columns(results_layout_, payload + emitted_offset_)};
  for (idx_t call = 0; call < plan_.calls.size(); call++) {
    for (RecordPart& part : accumulators_[call]->Parts(payload + state_offsets_[call])) {
      parts.push_back(part);
    }
  }
  return parts;
}

void AggregateOperator::Save(StateWriter& writer) {
  MILLRACE_CHECK(touched_.empty());
  writer.PutTypes(keys_.Types());
  writer.PutTypes(results_layout_.Types());
  writer.Put(static_cast<uint8_t>(append_only_));
  writer.Put(next_id_);
  RecordParts parts = Parts();
  for (auto& accumulator : accumulators_) accumulator->SaveGone(writer);
  writer.PutTable(*groups_, parts);
  for (auto& accumulator : accumulators_) accumulator->Save(writer);
}

void AggregateOperator::Load(StateReader& reader) {
  reader.ExpectTypes(keys_.Types());
  reader.ExpectTypes(results_layout_.Types());
  if (reader.Get<uint8_t>() != static_cast<uint8_t>(append_only_)) {
    reader.Corrupt("an input was append-only then and is not now, or the reverse");
  }
  next_id_ = reader.Get<uint64_t>();
  bool by_id = std::any_of(accumulators_.begin(), accumulators_.end(),
                           [](const auto& accumulator) { return accumulator->LooksForGroups(); });
  if (by_id && !by_id_) by_id_ = std::make_unique<GroupsById>(*arena_);
  auto state_of = [&](idx_t call) {
    return [this, call](uint64_t id) -> uint8_t* {
      uint8_t* group = by_id_->Find(id);
      return group ? StateOf(group, call) : nullptr;
    };
  };
  for (idx_t call = 0; call < plan_.calls.size(); call++) {
    accumulators_[call]->LoadGone(reader, state_of(call));
  }
  RecordParts parts = Parts();
  reader.GetRecords({parts[0]}, [&](RecordBlock& block) {
    EraseAll(*groups_, block, [&](uint8_t* group) { Unload(group); });
  });
  TableLoader loader(*groups_, reader);
  if (by_id_ && !reader.Changes()) by_id_->Begin();
  reader.GetRecords(parts, [&](RecordBlock& block) { LoadGroups(block, parts, loader); });
  loader.Finish();
  if (by_id_) by_id_->Finish();
  for (idx_t call = 0; call < plan_.calls.size(); call++) {
    accumulators_[call]->Load(reader, state_of(call));
  }
}

void AggregateOperator::Unload(uint8_t* group) {
  groups_->Strings().Release(results_layout_, EmittedOf(group));
  for (idx_t call = 0; call < plan_.calls.size(); call++) {
    accumulators_[call]->Unload(StateOf(group, call));
  }
}

void AggregateOperator::LoadGroups(RecordBlock& block, const RecordParts& parts,
                                   TableLoader& loader) {
  loader.Add(block);
  for (idx_t i = 0; i < block.count; i++) {
    uint8_t* group = loader.Row(i);
    if (!loader.Created(i)) Unload(group);
    for (idx_t p = 1; p < parts.size(); p++) {
      memcpy(group + parts[p].offset, block.Row(p, i), parts[p].Width());
    }
    groups_->Strings().Intern(results_layout_, EmittedOf(group));
    for (idx_t call = 0; call < plan_.calls.size(); call++) {
      accumulators_[call]->Loaded(StateOf(group, call));
    }
    if (by_id_) by_id_->Add(HeadOf(group).id, group);
  }
}

void AggregateOperator::FinishLoad() {
  by_id_.reset();
}

std::vector<Tracked*> AggregateOperator::Stored() {
  std::vector<Tracked*> stored = {groups_.get()};
  for (auto& accumulator : accumulators_) {
    if (Tracked* values = accumulator->Stored()) stored.push_back(values);
  }
  return stored;
}

int64_t AggregateOperator::StateBytes() const {
  int64_t bytes = groups_->Bytes();
  for (auto& accumulator : accumulators_) bytes += accumulator->StateBytes();
  return bytes;
}

}  // namespace millrace
