// partial_update.cc - one walk over the rows decides, per sequence group, what each row does; each
// column then follows the effects of its group.
#include "lsm/partial_update.h"

#include <algorithm>

#include "base/error.h"
#include "lsm/scatter.h"
#include "lsm/sort_key.h"

namespace millrace {

/// A sequence group during a batch.
struct PartialUpdate::Group {
  const SequenceGroup* spec = nullptr;
  // Effects by row on its sequence columns, its plain columns and its aggregated columns.
  std::vector<RowEffect> sequence, plain, aggregated;
  std::unique_ptr<Vector> order_holder;
  const string_t* order = nullptr;  // By row: its sequence, to compare by bytes.
  std::vector<uint8_t> empty;       // All sequence columns of the row are NULL.

  void Load(const MergeRows& rows, const ColumnOf& column) {
    idx_t count = rows.groups.RowCount();
    idx_t capacity = std::max<idx_t>(count, kChunkRows);
    sequence.resize(count);
    plain.resize(count);
    aggregated.resize(count);
    empty.assign(count, 1);
    duckdb::vector<LogicalType> types;
    for (idx_t field : spec->sequence) types.push_back(column(field).GetType());
    DataChunk values;
    values.Initialize(duckdb::Allocator::DefaultAllocator(), types, capacity);
    for (idx_t i = 0; i < spec->sequence.size(); i++) {
      Gather(column(spec->sequence[i]), rows.positions, count, values.data[i]);
      auto& validity = duckdb::FlatVector::Validity(values.data[i]);
      for (idx_t row = 0; row < count; row++) empty[row] &= !validity.RowIsValid(row);
    }
    values.SetCardinality(count);
    order_holder = std::make_unique<Vector>(LogicalType(LogicalTypeId::BLOB), capacity);
    NormaliseToBlobs(values, *order_holder);
    order = duckdb::FlatVector::GetData<string_t>(*order_holder);
  }

  bool IsNewer(uint32_t row, uint32_t there) const {
    return there == kNoRow || CompareBlobs(order[row], order[there]) >= 0;
  }
  void Set(uint32_t row, RowEffect on_sequence, RowEffect on_plain, RowEffect on_aggregated) {
    sequence[row] = on_sequence;
    plain[row] = on_plain;
    aggregated[row] = on_aggregated;
  }
};

/// What is known of the key at hand.
struct PartialUpdate::Key {
  std::vector<uint32_t> sequence;  // Per group: the row whose sequence is there.
  bool filled = false;             // Some row has been taken whole, or added.
  bool added = false;
  bool deleted = false;  // By its last row.
  int64_t sequence_number = 0;
};

PartialUpdate::PartialUpdate(const MergeSpec& spec, const KeyValueLayout& layout,
                             std::vector<idx_t> wanted)
    : MergeFunction(wanted), spec_(spec), group_of_(layout.fields.size()) {
  for (const SequenceGroup& group : spec_.groups) {
    auto is_wanted = [&](idx_t field) {
      return std::find(wanted.begin(), wanted.end(), field) != wanted.end();
    };
    // What removes rows matters to every column.
    if (!group.removes_row &&
        std::none_of(group.sequence.begin(), group.sequence.end(), is_wanted) &&
        std::none_of(group.columns.begin(), group.columns.end(), is_wanted)) {
      continue;
    }
    groups_.push_back(std::make_unique<Group>());
    groups_.back()->spec = &group;
    for (idx_t field : group.sequence) {
      group_of_[field] = groups_.back().get();
      if (!is_wanted(field)) needed_fields_.push_back(field);
    }
    for (idx_t field : group.columns) group_of_[field] = groups_.back().get();
  }
  mergers_.resize(layout.fields.size());
  for (idx_t field : wanted) {
    mergers_[field] = MakeColumnMerger(layout.fields[field], spec.columns[field]);
  }
}

PartialUpdate::~PartialUpdate() = default;

const MergedKeys& PartialUpdate::Begin(const MergeRows& rows, const ColumnOf& column) {
  rows_ = rows;
  idx_t row_count = rows.groups.RowCount();
  all_add_ = groups_.empty() && std::all_of(rows.kinds, rows.kinds + row_count, [](int8_t kind) {
               return IsAdd(static_cast<RowKind>(kind));
             });
  if (!all_add_) rest_.assign(row_count, RowEffect::kAdd);
  for (auto& group : groups_) group->Load(rows, column);
  keys_.kinds.resize(rows.groups.count);
  keys_.sequences.resize(rows.groups.count);
  Key key;
  for (idx_t i = 0; i < rows.groups.count; i++) {
    uint32_t start = rows.groups.starts[i];
    uint32_t last = rows.groups.starts[i + 1] - 1;
    if (all_add_ || (start == last && rows.pass_single)) {
      keys_.kinds[i] = start == last && rows.pass_single ? rows.kinds[last]
                                                         : static_cast<int8_t>(RowKind::kInsert);
      keys_.sequences[i] = rows.sequences[last];
      continue;
    }
    WalkKey(key, start, last + 1);
    keys_.kinds[i] =
        static_cast<int8_t>(key.deleted || !key.added ? RowKind::kDelete : RowKind::kInsert);
    keys_.sequences[i] = key.sequence_number;
  }
  return keys_;
}

void PartialUpdate::WalkKey(Key& key, uint32_t row, uint32_t end) {
  key.sequence.assign(groups_.size(), kNoRow);
  key.filled = key.added = false;
  key.sequence_number = 0;
  for (; row < end; row++) {
    key.deleted = false;
    if (IsAdd(static_cast<RowKind>(rows_.kinds[row]))) {
      AddRow(key, row);
    } else {
      RetractRow(key, row);
    }
  }
}

void PartialUpdate::AddRow(Key& key, uint32_t row) {
  key.added = key.filled = true;
  key.sequence_number = rows_.sequences[row];
  rest_[row] = RowEffect::kAdd;
  for (size_t i = 0; i < groups_.size(); i++) {
    Group& group = *groups_[i];
    if (group.empty[row]) {
      group.Set(row, RowEffect::kSkip, RowEffect::kSkip, RowEffect::kSkip);
    } else if (group.IsNewer(row, key.sequence[i])) {
      group.Set(row, RowEffect::kAssign, RowEffect::kAssign, RowEffect::kAdd);
      key.sequence[i] = row;
    } else {
      group.Set(row, RowEffect::kSkip, RowEffect::kSkip, RowEffect::kAddOlder);
    }
  }
}

void PartialUpdate::SetAll(uint32_t row, RowEffect effect) {
  rest_[row] = effect;
  for (auto& group : groups_) group->Set(row, effect, effect, effect);
}

void PartialUpdate::TakeWhole(Key& key, uint32_t row) {
  SetAll(row, RowEffect::kAssign);
  std::fill(key.sequence.begin(), key.sequence.end(), row);
}

void PartialUpdate::RetractRow(Key& key, uint32_t row) {
  bool fills = !key.filled;
  key.filled = true;
  if (fills) {
    TakeWhole(key, row);
  } else {
    SetAll(row, RowEffect::kSkip);
  }
  if (spec_.ignore_delete) return;
  key.sequence_number = rows_.sequences[row];
  if (!spec_.groups.empty()) return RetractFromGroups(key, row, fills);
  if (!spec_.remove_on_delete) {
    Throw(ErrorCode::kData,
          "Merging the rows of one key: merge engine 'partial-update' cannot take deletes by "
          "itself; set 'ignore-delete' = 'true' to leave them out, "
          "'partial-update.remove-record-on-delete' = 'true' to remove rows, or sequence groups to "
          "take columns back");
  }
  if (static_cast<RowKind>(rows_.kinds[row]) == RowKind::kDelete) {
    key.deleted = true;
    TakeWhole(key, row);
  }
}

void PartialUpdate::RetractFromGroups(Key& key, uint32_t row, bool fills) {
  bool is_delete = static_cast<RowKind>(rows_.kinds[row]) == RowKind::kDelete;
  for (size_t i = 0; i < groups_.size(); i++) {
    Group& group = *groups_[i];
    if (group.empty[row]) continue;
    RowEffect back = fills ? RowEffect::kAssignRetract : RowEffect::kRetract;
    if (!group.IsNewer(row, key.sequence[i])) {
      group.Set(row, RowEffect::kSkip, RowEffect::kSkip, back);
      continue;
    }
    if (is_delete && group.spec->removes_row) {
      key.deleted = true;
      TakeWhole(key, row);
      return;
    }
    group.Set(row, RowEffect::kAssign, RowEffect::kClear, back);
    key.sequence[i] = row;
  }
}

void PartialUpdate::MergeColumn(idx_t field, Vector& source, Vector& target) {
  ColumnMerger& merger = *mergers_[field];
  const Group* group = group_of_[field];
  if (group == nullptr) {
    merger.Merge(source, rows_, all_add_ ? nullptr : rest_.data(), target);
    return;
  }
  const auto& sequence = group->spec->sequence;
  bool is_sequence = std::find(sequence.begin(), sequence.end(), field) != sequence.end();
  bool is_plain = spec_.columns[field].aggregate == Aggregate::kOverwrite;
  const auto& effects = is_sequence ? group->sequence : is_plain ? group->plain : group->aggregated;
  merger.Merge(source, rows_, effects.data(), target);
}

}  // namespace millrace
