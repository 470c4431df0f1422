// Goal: an Error keeps code and text across DuckDB, and a wrong name gets a useful suggestion.
// Method: wrap and unwrap through duckdb::ErrorData as the engine does.
#include "base/error.h"

#include <doctest/doctest.h>

#include "duckdb/common/error_data.hpp"

namespace millrace {

TEST_CASE("An Error passes through DuckDB whole") {
  Error original(ErrorCode::kConflict, "Committing table 't': another writer won");
  duckdb::ErrorData inside(original);
  try {
    inside.Throw();
    FAIL("must throw");
  } catch (const std::exception& caught) {
    Error back = ErrorFrom(caught);
    CHECK(back.code() == ErrorCode::kConflict);
    CHECK(back.text() == original.text());
  }
}

TEST_CASE("DidYouMean suggests a near name and nothing else") {
  CHECK(DidYouMean("balanc", {"balance", "branch"}) == "; did you mean 'balance'?");
  CHECK(DidYouMean("xyzzy", {"balance", "branch"}).empty());
}

}  // namespace millrace
