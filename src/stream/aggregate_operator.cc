#include "stream/aggregate_operator.h"

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

AggregateOperator::AggregateOperator(duckdb::ClientContext& context, Plan plan)
    : Operator({}),
      plan_(std::move(plan)),
      keys_(context, std::move(plan_.groups)),
      arguments_(context, std::move(plan_.arguments)) {
  duckdb::vector<LogicalType> types = plan_.group_types;
  for (auto& type : ResultTypes(plan_.calls)) types.push_back(type);
  for (idx_t i = 0; i < plan_.groupings.size(); i++) types.push_back(LogicalType::BIGINT);
  SetTypes(types);
  InitializeChunk(key_chunk_, keys_.Types());
  InitializeChunk(argument_chunk_, arguments_.Types());
  InitializeChunk(results_, ResultTypes(plan_.calls));
  results_layout_ = RowLayout(ResultTypes(plan_.calls));
  result_strings_ = std::make_unique<RowStore>();
  out_.Initialize(Types());
}

ChangelogType AggregateOperator::Start(const std::vector<ChangelogType>& inputs) {
  append_only_ = inputs[0] == ChangelogType::kAppend;
  idx_t offset = sizeof(Head);
  for (auto& call : plan_.calls) {
    accumulators_.push_back(Accumulator::Make(call, append_only_));
    state_offsets_.push_back(offset);
    offset += accumulators_.back()->Bytes();
  }
  emitted_offset_ = offset;
  offset += results_layout_.Width();
  groups_ = std::make_unique<RowTable>(RowLayout(keys_.Types(), true), offset);
  return ChangelogType::kFull;
}

void AggregateOperator::Push(idx_t, ChangeChunk& chunk) {
  idx_t count = chunk.size();
  if (count == 0) return;
  keys_.Evaluate(chunk.rows, key_chunk_);
  arguments_.Evaluate(chunk.rows, argument_chunk_);
  key_chunk_.SetCardinality(count);
  batch_.Fill(groups_->Layout(), key_chunk_, nullptr, true);
  rows_.resize(count);
  groups_->FindOrCreateAll(batch_, count, rows_.data());
  weights_.resize(count);
  ids_.resize(count);
  for (idx_t i = 0; i < count; i++) {
    Head& head = HeadOf(rows_[i]);
    if (head.id == 0) head.id = next_id_++;
    weights_[i] = static_cast<int8_t>(Weight(chunk.KindOf(i)));
    head.rows += weights_[i];
    ids_[i] = head.id;
    if (!head.touched) {
      head.touched = 1;
      touched_.push_back(rows_[i]);
    }
  }
  states_.resize(count);
  for (idx_t call = 0; call < plan_.calls.size(); call++) Update(call, count);
}

void AggregateOperator::Update(idx_t call, idx_t count) {
  const AggregateCall& what = plan_.calls[call];
  for (idx_t i = 0; i < count; i++) states_[i] = StateOf(rows_[i], call);
  const int8_t* weights = weights_.data();
  if (what.filter) {
    UnifiedVectorFormat format;
    argument_chunk_.data[*what.filter].ToUnifiedFormat(count, format);
    auto passes = UnifiedVectorFormat::GetData<bool>(format);
    call_weights_.resize(count);
    for (idx_t i = 0; i < count; i++) {
      idx_t at = format.sel->get_index(i);
      call_weights_[i] = format.validity.RowIsValid(at) && passes[at] ? weights_[i] : 0;
    }
    weights = call_weights_.data();
  }
  Vector* argument = what.argument ? &argument_chunk_.data[*what.argument] : nullptr;
  accumulators_[call]->Update(argument, count, states_.data(), ids_.data(), weights);
}

void AggregateOperator::EnsureGlobalGroup() {
  if (!plan_.always_one_row || groups_->Size() > 0) return;
  std::vector<uint8_t> row(groups_->Layout().Width());
  bool created;
  uint8_t* group = groups_->FindOrCreate(row.data(), groups_->Layout().Hash(row.data()), created);
  HeadOf(group).id = next_id_++;
  HeadOf(group).touched = 1;
  touched_.push_back(group);
}

void AggregateOperator::EndStep() {
  EnsureGlobalGroup();
  for (idx_t start = 0; start < touched_.size(); start += kGroupsAtOnce) {
    EmitGroups(touched_.data() + start, std::min(kGroupsAtOnce, touched_.size() - start));
  }
  if (touched_.capacity() > 1 << 16) {
    std::vector<uint8_t*>().swap(touched_);
  } else {
    touched_.clear();
  }
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
    result_strings_->Release(results_layout_, EmittedOf(groups[i]));
    head.emitted = head.rows > 0 || plan_.always_one_row;
    if (head.emitted) {
      memcpy(EmittedOf(groups[i]), fresh_.Row(i), results_layout_.Width());
      result_strings_->Intern(results_layout_, EmittedOf(groups[i]));
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

void AggregateOperator::Save(StateWriter& writer) {
  MILLRACE_CHECK(touched_.empty());
  writer.PutTypes(keys_.Types());
  writer.PutTypes(results_layout_.Types());
  writer.Put(static_cast<uint8_t>(append_only_));
  writer.Put(next_id_);
  std::vector<uint8_t*> groups;
  groups_->ForEach([&](uint8_t* group) { groups.push_back(group); });
  writer.PutRows(groups_->Layout(), groups);
  std::vector<uint8_t*> emitted;
  for (uint8_t* group : groups) {
    writer.Put(HeadOf(group).rows);
    writer.Put(HeadOf(group).id);
    emitted.push_back(EmittedOf(group));
  }
  writer.PutRows(results_layout_, emitted);
  for (idx_t call = 0; call < plan_.calls.size(); call++) {
    std::vector<uint8_t*> states;
    for (uint8_t* group : groups) states.push_back(StateOf(group, call));
    accumulators_[call]->Save(writer, states);
  }
}

void AggregateOperator::Load(StateReader& reader) {
  reader.ExpectTypes(keys_.Types());
  reader.ExpectTypes(results_layout_.Types());
  if (reader.Get<uint8_t>() != static_cast<uint8_t>(append_only_)) {
    reader.Corrupt("an input was append-only then and is not now, or the reverse");
  }
  next_id_ = reader.Get<uint64_t>();
  std::vector<uint8_t*> groups;
  reader.GetRows(groups_->Layout(), [&](idx_t, uint8_t* row) {
    bool created;
    groups.push_back(groups_->FindOrCreate(row, groups_->Layout().Hash(row), created));
  });
  std::vector<uint64_t> ids;
  for (uint8_t* group : groups) {
    Head& head = HeadOf(group);
    head.rows = reader.Get<int64_t>();
    head.id = reader.Get<uint64_t>();
    head.emitted = 1;
    ids.push_back(head.id);
  }
  reader.GetRows(results_layout_, [&](idx_t i, uint8_t* row) {
    if (i >= groups.size()) reader.Corrupt("it holds more results than groups");
    memcpy(EmittedOf(groups[i]), row, results_layout_.Width());
    result_strings_->Intern(results_layout_, EmittedOf(groups[i]));
  });
  for (idx_t call = 0; call < plan_.calls.size(); call++) {
    std::vector<uint8_t*> states;
    for (uint8_t* group : groups) states.push_back(StateOf(group, call));
    accumulators_[call]->Load(reader, states, ids);
  }
}

int64_t AggregateOperator::StateBytes() const {
  int64_t bytes = groups_->Bytes() + result_strings_->Bytes();
  for (auto& accumulator : accumulators_) bytes += accumulator->StateBytes();
  return bytes;
}

}  // namespace millrace
