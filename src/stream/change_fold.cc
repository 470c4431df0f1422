#include "stream/change_fold.h"

#include <numeric>

#include "base/error.h"
#include "stream/packed_rows.h"

namespace millrace {

namespace {

duckdb::vector<LogicalType> Pick(const duckdb::vector<LogicalType>& types,
                                 const std::vector<idx_t>& columns) {
  duckdb::vector<LogicalType> picked;
  for (idx_t column : columns) picked.push_back(types[column]);
  return picked;
}

std::vector<idx_t> KeyOrAll(std::vector<idx_t> key, idx_t columns) {
  if (!key.empty()) return key;
  key.resize(columns);
  std::iota(key.begin(), key.end(), 0);
  return key;
}

}  // namespace

/// A table by key (all columns, when there is none), each with its weight and its row.
struct ChangeFold::State {
  State(duckdb::vector<LogicalType> types, std::vector<idx_t> wanted_key, StateMemory* memory)
      : by_key(!wanted_key.empty()),
        key(KeyOrAll(std::move(wanted_key), types.size())),
        own_memory(memory ? nullptr : std::make_unique<StateMemory>()),
        arena(memory ? *memory : *own_memory),
        layout(types),
        table(arena, RowLayout(Pick(types, key), true), sizeof(int64_t) + layout.Width()),
        order(arena) {}

  int64_t& WeightOf(uint8_t* slot) const { return table.Payload<int64_t>(slot); }
  uint8_t* RowOf(uint8_t* slot) const { return &table.Payload<uint8_t>(slot) + sizeof(int64_t); }

  const bool by_key;
  const std::vector<idx_t> key;
  const std::unique_ptr<StateMemory> own_memory;
  StateArena arena;
  const RowLayout layout;
  RowTable table;
  RowList order;  // Of first appearance.
  RowBatch key_batch;
  RowBatch batch;
  idx_t next = 0;
  int64_t repeated = 0;  // Copies of the next slot already given.
  std::vector<const uint8_t*> rows;
};

ChangeFold::ChangeFold(duckdb::vector<LogicalType> types, std::vector<idx_t> key,
                       StateMemory* memory)
    : state_(std::make_unique<State>(std::move(types), std::move(key), memory)) {}

ChangeFold::~ChangeFold() = default;

void ChangeFold::Add(ChangeChunk& chunk) {
  State& state = *state_;
  state.key_batch.Fill(state.table.Layout(), chunk.rows, &state.key, true);
  state.batch.Fill(state.layout, chunk.rows, nullptr, false);
  for (idx_t i = 0; i < chunk.size(); i++) {
    RowKind kind = chunk.KindOf(i);
    // The old half of an update says nothing that the new half does not.
    if (state.by_key && kind == RowKind::kUpdateBefore) continue;
    bool created;
    uint8_t* slot =
        state.table.FindOrCreate(state.key_batch.Row(i), state.key_batch.HashOf(i), created);
    if (created) state.order.Add(slot);
    int weight = Weight(kind);
    int64_t& total = state.WeightOf(slot);
    total = state.by_key ? std::max(weight, 0) : total + weight;
    if (weight < 0) continue;
    uint8_t* row = state.RowOf(slot);
    state.table.Strings().Release(state.layout, row);
    memcpy(row, state.batch.Row(i), state.layout.Width());
    state.table.Strings().Intern(state.layout, row);
  }
  state.arena.Balance();
}

bool ChangeFold::Next(DataChunk& chunk) {
  State& state = *state_;
  state.arena.Balance();
  state.rows.clear();
  while (state.next < state.order.size() && state.rows.size() < kChunkRows) {
    uint8_t* slot = state.order[state.next];
    int64_t weight = state.WeightOf(slot);
    if (weight < 0) {
      Throw(ErrorCode::kData,
            "Adding up changes: a row was removed {} times more often than it was added", -weight);
    }
    if (state.repeated < weight) {
      state.rows.push_back(state.RowOf(slot));
      state.repeated++;
      continue;
    }
    state.repeated = 0;
    state.next++;
  }
  for (idx_t c = 0; c < chunk.ColumnCount(); c++) {
    state.layout.Gather(c, state.rows.data(), state.rows.size(), chunk.data[c]);
  }
  chunk.SetCardinality(state.rows.size());
  return !state.rows.empty();
}

}  // namespace millrace
