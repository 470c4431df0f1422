#include "catalog/virtual_columns.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace millrace {

namespace {

constexpr const char* kComputedKey = "millrace.computed-columns";
constexpr const char* kWatermarkKey = "millrace.watermark";

nlohmann::json ComputedToJson(const TableDefinition& definition) {
  nlohmann::json computed = nlohmann::json::array();
  for (idx_t i = 0; i < definition.columns.size(); i++) {
    const ColumnDefinition& column = definition.columns[i];
    if (!column.computed) continue;
    computed.push_back({{"position", i},
                        {"name", column.name},
                        {"expression", *column.computed},
                        {"text", column.computed_text},
                        {"comment", column.comment}});
  }
  return computed;
}

std::vector<ColumnDefinition>::iterator FindComputed(TableDefinition& definition,
                                                     const std::string& name) {
  return std::find_if(definition.columns.begin(), definition.columns.end(),
                      [&](const ColumnDefinition& c) { return c.computed && c.name == name; });
}

/// `definition` with the computed columns and the watermark as the alteration wants them.
void AlterVirtualParts(TableDefinition& definition, const TableAlteration& alteration) {
  for (const ColumnDefinition& column : alteration.computed) {
    auto found = FindComputed(definition, column.name);
    if (found != definition.columns.end()) {
      *found = column;
    } else if (definition.FindColumn(column.name)) {
      Throw(ErrorCode::kExists, "Altering table '{}': there is a column '{}' already",
            definition.path.ToString(), column.name);
    } else {
      definition.columns.push_back(column);
    }
  }
  if (alteration.watermark) definition.watermark = alteration.watermark;
  if (alteration.drop_watermark) {
    if (!definition.watermark) {
      Throw(ErrorCode::kNotFound, "Altering table '{}': it has no watermark",
            definition.path.ToString());
    }
    definition.watermark.reset();
  }
}

}  // namespace

void HideVirtualParts(TableDefinition& definition) {
  nlohmann::json computed = ComputedToJson(definition);
  if (!computed.empty()) definition.options[kComputedKey] = computed.dump();
  if (definition.watermark) {
    definition.options[kWatermarkKey] =
        nlohmann::json({{"column", definition.watermark->column},
                        {"expression", definition.watermark->expression},
                        {"text", definition.watermark->text}})
            .dump();
  }
  std::erase_if(definition.columns,
                [](const ColumnDefinition& c) { return c.computed.has_value(); });
  definition.watermark.reset();
}

void ShowVirtualParts(TableDefinition& definition) {
  auto computed = definition.options.extract(kComputedKey);
  if (!computed.empty()) {
    nlohmann::json items = nlohmann::json::parse(computed.mapped(), nullptr, false);
    if (!items.is_array()) items = nlohmann::json::array();
    for (const nlohmann::json& item : items) {
      ColumnDefinition column{
          item.value("name", ""), {}, item.value("expression", ""), {}, item.value("comment", "")};
      column.computed_text = item.value("text", "");
      idx_t position = std::min<idx_t>(item.value("position", idx_t(0)), definition.columns.size());
      definition.columns.insert(definition.columns.begin() + static_cast<int64_t>(position),
                                column);
    }
  }
  auto watermark = definition.options.extract(kWatermarkKey);
  if (watermark.empty()) return;
  nlohmann::json json = nlohmann::json::parse(watermark.mapped(), nullptr, false);
  if (json.is_object()) {
    definition.watermark = WatermarkDefinition{
        json.value("column", ""), json.value("expression", ""), json.value("text", "")};
  }
}

std::vector<SchemaChange> SchemaChangesOf(const TableSchema& schema, const ObjectPath& path,
                                          const TableAlteration& alteration) {
  TableDefinition before = DefinitionFromSchema(path, schema);
  TableDefinition after = before;
  std::vector<SchemaChange> changes;
  for (const SchemaChange& change : alteration.changes) {
    // A computed column may be dropped or renamed as any other.
    const auto* drop = std::get_if<DropColumn>(&change);
    const auto* rename = std::get_if<RenameColumn>(&change);
    const ColumnPath* named = drop ? &drop->path : rename ? &rename->path : nullptr;
    auto computed =
        named && named->size() == 1 ? FindComputed(after, named->front()) : after.columns.end();
    if (computed == after.columns.end()) {
      changes.push_back(change);
    } else if (drop) {
      after.columns.erase(computed);
    } else {
      computed->name = rename->new_name;
    }
  }
  AlterVirtualParts(after, alteration);
  HideVirtualParts(before);
  HideVirtualParts(after);
  for (const char* key : {kComputedKey, kWatermarkKey}) {
    auto old = before.options.find(key), next = after.options.find(key);
    bool is_there = next != after.options.end();
    if (is_there && (old == before.options.end() || old->second != next->second)) {
      changes.push_back(SetTableOption{key, next->second});
    } else if (!is_there && old != before.options.end()) {
      changes.push_back(ResetTableOption{key});
    }
  }
  return changes;
}

}  // namespace millrace
