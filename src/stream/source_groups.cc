#include "stream/source_groups.h"

#include <algorithm>

namespace millrace {

std::string InputKey(const TableDefinition& definition) {
  std::string key = definition.path.ToString();
  for (const auto& [name, value] : definition.options) key += "\n" + name + "=" + value;
  return key;
}

GroupedInputs GroupInputs(const ConnectorRegistry& connectors,
                          const std::vector<const std::vector<SourceTable>*>& inputs) {
  GroupedInputs grouped;
  std::map<std::string, idx_t> group_of;
  std::map<std::string, InputPlace> place_of;
  for (const std::vector<SourceTable>* of_pipeline : inputs) {
    auto& places = grouped.places.emplace_back();
    for (const SourceTable& input : *of_pipeline) {
      if (IsSharedView(*input.definition)) {
        places.push_back({.shared = true});
        continue;
      }
      std::string connector = input.definition->Connector();
      std::string key =
          connector.empty()
              ? "lake"
              : connector + "\n" + connectors.Get(connector).GroupKey(*input.definition);
      auto [group, is_new_group] = group_of.try_emplace(key, grouped.groups.size());
      if (is_new_group) grouped.groups.push_back({connector, {}});
      std::vector<SourceTable>& tables = grouped.groups[group->second].tables;
      InputPlace place{group->second, tables.size(), false};
      auto [found, is_new] = place_of.try_emplace(InputKey(*input.definition), place);
      if (is_new) tables.push_back({input.definition, {}});
      std::vector<idx_t>& wanted = tables[found->second.table].columns;
      for (idx_t column : input.columns) {
        if (std::find(wanted.begin(), wanted.end(), column) == wanted.end())
          wanted.push_back(column);
      }
      places.push_back(found->second);
    }
  }
  return grouped;
}

}  // namespace millrace
