#include "stream/change_fold.h"

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/function/create_sort_key.hpp"

namespace millrace {

struct ChangeFold::State {
  struct Slot {
    int64_t weight = 0;
    idx_t chunk = 0;
    idx_t row = 0;
  };

  duckdb::vector<LogicalType> types;
  std::vector<idx_t> key;
  std::vector<std::unique_ptr<DataChunk>> chunks;
  std::vector<Slot> slots;  // In the order of first appearance.
  std::unordered_map<std::string, idx_t> slot_of;
  idx_t next_slot = 0;
  int64_t repeated = 0;  // Copies of the next slot already given.

  void MakeKeys(DataChunk& rows, Vector& keys) const {
    DataChunk picked;
    duckdb::vector<LogicalType> picked_types;
    for (idx_t column : key) picked_types.push_back(types[column]);
    picked.InitializeEmpty(picked_types);
    for (idx_t i = 0; i < key.size(); i++) picked.data[i].Reference(rows.data[key[i]]);
    picked.SetCardinality(rows.size());
    duckdb::vector<duckdb::OrderModifiers> modifiers(
        key.size(),
        duckdb::OrderModifiers(duckdb::OrderType::ASCENDING, duckdb::OrderByNullType::NULLS_FIRST));
    duckdb::CreateSortKeyHelpers::CreateSortKey(picked, modifiers, keys);
  }
};

ChangeFold::ChangeFold(duckdb::vector<LogicalType> types, std::vector<idx_t> key)
    : state_(std::make_unique<State>()) {
  state_->types = std::move(types);
  state_->key = std::move(key);
}

ChangeFold::~ChangeFold() = default;

void ChangeFold::Add(ChangeChunk& chunk) {
  State& state = *state_;
  bool by_key = !state.key.empty();
  if (!by_key && state.key.empty()) {
    for (idx_t c = 0; c < state.types.size(); c++) state.key.push_back(c);
  }
  auto copy = std::make_unique<DataChunk>();
  copy->Initialize(duckdb::Allocator::DefaultAllocator(), state.types,
                   std::max(chunk.size(), kChunkRows));
  chunk.rows.Copy(*copy);
  Vector keys(LogicalType::BLOB, chunk.size());
  state.MakeKeys(chunk.rows, keys);
  if (!by_key) state.key.clear();
  UnifiedVectorFormat format;
  keys.ToUnifiedFormat(chunk.size(), format);
  auto data = UnifiedVectorFormat::GetData<string_t>(format);
  for (idx_t row = 0; row < chunk.size(); row++) {
    auto [found, is_new] =
        state.slot_of.try_emplace(data[format.sel->get_index(row)].GetString(), state.slots.size());
    if (is_new) state.slots.emplace_back();
    State::Slot& slot = state.slots[found->second];
    int weight = Weight(chunk.KindOf(row));
    if (by_key) {
      // The old half of an update says nothing that the new half does not.
      if (chunk.KindOf(row) == RowKind::kUpdateBefore) continue;
      slot.weight = weight > 0 ? 1 : 0;
    } else {
      slot.weight += weight;
    }
    if (weight > 0) {
      slot.chunk = state.chunks.size();
      slot.row = row;
    }
  }
  state.chunks.push_back(std::move(copy));
}

bool ChangeFold::Next(DataChunk& chunk) {
  State& state = *state_;
  idx_t count = 0;
  while (state.next_slot < state.slots.size() && count < kChunkRows) {
    const State::Slot& slot = state.slots[state.next_slot];
    if (slot.weight < 0) {
      Throw(ErrorCode::kData,
            "Adding up changes: a row was removed {} times more often than it was added",
            -slot.weight);
    }
    if (state.repeated < slot.weight) {
      for (idx_t c = 0; c < chunk.ColumnCount(); c++) {
        duckdb::VectorOperations::Copy(state.chunks[slot.chunk]->data[c], chunk.data[c],
                                       slot.row + 1, slot.row, count);
      }
      count++;
      state.repeated++;
      continue;
    }
    state.repeated = 0;
    state.next_slot++;
  }
  chunk.SetCardinality(count);
  return count > 0;
}

}  // namespace millrace
