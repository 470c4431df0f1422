// eased_queries.h - queries of TPC-DS that find nothing at scale 0.01, with weaker conditions.
//
// Seven queries have no row at that scale, whatever constants are frequent in the tables: they want
// many rows of one group, or sums that are nearly equal. Two empty answers prove little, so each of
// them runs with the text of the benchmark and once more with some of its conditions weakened. The
// operators of the plan stay the same ones.
#pragma once

#include <optional>
#include <string>

namespace millrace {

/// The query with its conditions weakened; nullopt when it has rows as it is.
/// Throws: Error when the text is not the one that is expected.
std::optional<std::string> EasedQuery(const std::string& suite, int number, const std::string& sql);

}  // namespace millrace
