// plan_keys.h - columns and unique keys on their way through the operators of a plan.
#pragma once

#include <algorithm>

#include "stream/operator.h"

namespace millrace {

/// Where each of an operator's columns stands in the output of the next; nullopt: nowhere.
using ColumnPlaces = std::vector<std::optional<idx_t>>;

/// The key in the next operator's columns; nullopt when one of its columns is not among them.
inline std::optional<UniqueKey> MapKey(const UniqueKey& key, const ColumnPlaces& where) {
  UniqueKey mapped;
  for (idx_t column : key) {
    if (!where[column]) return std::nullopt;
    mapped.push_back(*where[column]);
  }
  return mapped;
}

inline std::vector<UniqueKey> MapKeys(const std::vector<UniqueKey>& keys,
                                      const ColumnPlaces& where) {
  std::vector<UniqueKey> all;
  for (const UniqueKey& key : keys) {
    if (auto mapped = MapKey(key, where)) all.push_back(*mapped);
  }
  return all;
}

/// Each key of `a` with each of `b`.
inline std::vector<UniqueKey> PairKeys(const std::vector<UniqueKey>& a,
                                       const std::vector<UniqueKey>& b) {
  std::vector<UniqueKey> pairs;
  for (const UniqueKey& first : a) {
    for (const UniqueKey& second : b) {
      pairs.push_back(first);
      pairs.back().insert(pairs.back().end(), second.begin(), second.end());
    }
  }
  return pairs;
}

/// Where the columns of an operator with `inputs` columns stand when `columns` of them are chosen.
inline ColumnPlaces Where(const std::vector<idx_t>& columns, idx_t inputs, idx_t shift = 0) {
  ColumnPlaces where(inputs);
  for (idx_t i = 0; i < columns.size(); i++) where[columns[i]] = i + shift;
  return where;
}

/// Whether one of the keys is among these columns: then rows that agree in them are one row.
inline bool ContainsKey(const std::vector<UniqueKey>& keys, const ColumnPlaces& columns) {
  return std::any_of(keys.begin(), keys.end(), [&](const UniqueKey& key) {
    return std::all_of(key.begin(), key.end(), [&](idx_t column) {
      return std::find(columns.begin(), columns.end(), std::optional<idx_t>(column)) !=
             columns.end();
    });
  });
}

inline ColumnPlaces PlainColumns(const ExpressionList& expressions) {
  ColumnPlaces columns;
  for (auto& expression : expressions) columns.push_back(PlainColumn(*expression));
  return columns;
}

inline std::vector<idx_t> AllColumns(idx_t count) {
  std::vector<idx_t> columns(count);
  for (idx_t i = 0; i < count; i++) columns[i] = i;
  return columns;
}

/// Of a join's projection maps: empty means all.
inline std::vector<idx_t> MapOrAll(const duckdb::vector<idx_t>& map, idx_t count) {
  if (map.empty()) return AllColumns(count);
  return std::vector<idx_t>(map.begin(), map.end());
}

}  // namespace millrace
