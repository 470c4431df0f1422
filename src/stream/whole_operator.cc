#include "stream/whole_operator.h"

#include <algorithm>

#include "duckdb/common/types/column/column_data_collection.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/planner/logical_operator.hpp"
#include "duckdb/storage/buffer_manager.hpp"
#include "stream/plan_compiler.h"

namespace millrace {

WholeOperator::WholeOperator(duckdb::ClientContext& context, StateArena& arena, Plan plan)
    : Operator(plan.output_types, &arena), context_(context), plan_(std::move(plan)) {
  for (auto& types : plan_.input_types) {
    tables_.push_back(std::make_unique<RowTable>(arena, RowLayout(types), sizeof(Counts)));
  }
  tables_.push_back(std::make_unique<RowTable>(arena, RowLayout(Types()), sizeof(Counts)));
}

void WholeOperator::Push(idx_t port, ChangeChunk& chunk) {
  if (chunk.size() == 0) return;
  touched_ = true;
  RowTable& table = *tables_[port];
  batch_.Fill(table.Layout(), chunk.rows, nullptr, true);
  for (idx_t i = 0; i < chunk.size(); i++) {
    bool created;
    uint8_t* row = table.FindOrCreate(batch_.Row(i), batch_.HashOf(i), created);
    int64_t& count = table.Payload<Counts>(row).count;
    table.Touch(row);
    count += Weight(chunk.KindOf(i));
    if (count < 0) ThrowUnknownRow(Describe());
    if (count == 0) table.Erase(row);
  }
  arena_->Balance();
}

/// Rows in one order, whatever the history.
std::vector<uint8_t*> WholeOperator::Sorted(RowTable& table) const {
  std::vector<uint8_t*> rows;
  table.ForEach([&](uint8_t* row) { rows.push_back(row); });
  std::sort(rows.begin(), rows.end(), [&](const uint8_t* a, const uint8_t* b) {
    return table.Layout().CompareRows(a, b) < 0;
  });
  return rows;
}

duckdb::unique_ptr<duckdb::ColumnDataCollection> WholeOperator::Collect(RowTable& table) {
  std::vector<const uint8_t*> rows;
  for (uint8_t* row : Sorted(table)) {
    for (int64_t n = 0; n < table.Payload<Counts>(row).count; n++) rows.push_back(row);
  }
  return CollectRows(context_, table.Layout(), rows, *arena_);
}

void WholeOperator::EndStep() {
  if (started_ && !touched_) return;
  started_ = true;
  touched_ = false;
  Rows inputs;
  for (idx_t i = 0; i + 1 < tables_.size(); i++) inputs.push_back(Collect(*tables_[i]));
  LogicalPlan plan;
  auto make = [&] { plan = plan_.over(std::move(inputs)); };
  if (context_.transaction.HasActiveTransaction()) {
    make();  // That of a large step (ShardedRun).
  } else {
    context_.RunFunctionInTransaction(make);
  }
  auto results = RunPlan(context_, std::move(plan));
  RowTable& answer = *tables_.back();
  for (auto& chunk : results) {
    batch_.Fill(answer.Layout(), *chunk, nullptr, true);
    for (idx_t i = 0; i < chunk->size(); i++) {
      bool created;
      uint8_t* row = answer.FindOrCreate(batch_.Row(i), batch_.HashOf(i), created);
      answer.Payload<Counts>(row).wanted++;
    }
    arena_->Balance();
  }
  RowEmitter out(answer.Layout(), [this](ChangeChunk& chunk) { Emit(chunk); });
  std::vector<uint8_t*> rows = Sorted(answer);
  for (int sign : {-1, 1}) {
    for (uint8_t* row : rows) {
      const Counts& counts = answer.Payload<Counts>(row);
      int64_t weight = counts.wanted - counts.count;
      if (weight * sign > 0) out.AddWeighted(row, weight);
    }
  }
  out.Finish();
  for (uint8_t* row : rows) {
    Counts& counts = answer.Payload<Counts>(row);
    if (counts.count != counts.wanted) answer.Touch(row);
    counts = {counts.wanted, 0};
    if (counts.count == 0) answer.Erase(row);
  }
}

std::string WholeOperator::DescribeState() const {
  std::string text;
  for (idx_t i = 0; i + 1 < tables_.size(); i++)
    text += fmt::format("{} rows, ", tables_[i]->Size());
  return text + fmt::format("{} results", tables_.back()->Size());
}

RecordParts WholeOperator::PartsOf(const RowTable& table) {
  return {RecordPart::Columns(table.Layout()),
          RecordPart::Plain(table.Layout().Width() + offsetof(Counts, count), sizeof(int64_t))};
}

void WholeOperator::Save(StateWriter& writer) {
  writer.Put(static_cast<uint8_t>(started_));
  for (auto& table : tables_) {
    writer.PutTypes(table->Layout().Types());
    writer.PutTable(*table, PartsOf(*table));
  }
}

void WholeOperator::Load(StateReader& reader) {
  started_ = reader.Get<uint8_t>();
  for (auto& table : tables_) {
    reader.ExpectTypes(table->Layout().Types());
    RecordParts parts = PartsOf(*table);
    reader.GetRecords({parts[0]}, [&](RecordBlock& block) { EraseAll(*table, block); });
    TableLoader loader(*table, reader);
    reader.GetRecords(parts, [&](RecordBlock& block) {
      loader.Add(block);
      for (idx_t i = 0; i < block.count; i++) {
        table->Payload<Counts>(loader.Row(i)).count = block.Value<int64_t>(1, i);
      }
    });
    loader.Finish();
  }
}

std::vector<Tracked*> WholeOperator::Stored() {
  std::vector<Tracked*> stored;
  for (auto& table : tables_) stored.push_back(table.get());
  return stored;
}

int64_t WholeOperator::StateBytes() const {
  int64_t bytes = 0;
  for (auto& table : tables_) bytes += table->Bytes();
  return bytes;
}

}  // namespace millrace
