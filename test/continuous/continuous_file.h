// continuous_file.h - one of DuckDB's .test files with its queries kept up to date.
#pragma once

#include <ostream>
#include <set>
#include <string>

namespace millrace {

/// Runs the statements of a file and each query as a continuous one, except those at the lines
/// `left_out`. Writes "RUN\t<line>" before a query and a line of its outcome after it:
///   same          equal to batch after each step, over tables that change
///   constant      equal to batch, and reads no table
///   refused       the compiler says that it has no incremental form
///   differs, fails
///   no function   batch gives other answers when its rows come in another order
///   chance        refused, because it asks for chance or for the time: random(), now(), nextval()
///   batch         batch itself fails on these rows or cannot run it here
///   no tables     the tables with a history could not be made (also after a statement)
///   large         a table has too many rows for this test
void RunContinuousFile(const std::string& path, uint64_t seed, const std::set<int>& left_out,
                       std::ostream& out);

}  // namespace millrace
