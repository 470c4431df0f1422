// Goal: option values are read as Flink and Paimon write them, and wrong ones are explained.
// Method: tables of texts and values.
#include "meta/options.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace millrace {

namespace {

std::string Failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalid);
    return error.text();
  }
  return "";
}

}  // namespace

TEST_CASE("Options have types and units") {
  Options options = {{"bucket", " 4 "},
                     {"write-only", "TRUE"},
                     {"ratio", "0.25"},
                     {"keys", "a, b,,c "},
                     {"merge-engine", "First-Row"}};
  CHECK(GetInt(options, "bucket", -1) == 4);
  CHECK(GetInt(options, "none", -1) == -1);
  CHECK(GetBool(options, "write-only", false));
  CHECK(GetDouble(options, "ratio", 0) == 0.25);
  CHECK(GetList(options, "keys") == std::vector<std::string>{"a", "b", "c"});
  CHECK(GetChoice(options, "merge-engine", "deduplicate", {"deduplicate", "first-row"}) ==
        "first-row");
  CHECK(ParseDurationMs("x", "1 min") == 60'000);
  CHECK(ParseDurationMs("x", "10s") == 10'000);
  CHECK(ParseDurationMs("x", "250") == 250);
  CHECK(ParseDurationMs("x", "1 d") == 86'400'000);
  CHECK(ParseDurationMs("x", "1500 us") == 1);
  CHECK(ParseMemoryBytes("x", "64 mb") == 64 << 20);
  CHECK(ParseMemoryBytes("x", "1G") == 1 << 30);
  CHECK(ParseMemoryBytes("x", "17") == 17);
}

TEST_CASE("A wrong option names itself, its value and what is meant") {
  CHECK(Failure([] {
          GetInt({{"bucket", "four"}}, "bucket", 1);
        }) == "Option 'bucket' = 'four': a whole number is expected");
  CHECK(Failure([] {
          GetBool({{"write-only", "yes"}}, "write-only", false);
        }) == "Option 'write-only' = 'yes': true or false is expected");
  CHECK(Failure([] {
          GetChoice({{"m", "lokup"}}, "m", "none", {"none", "lookup"});
        }) == "Option 'm' = 'lokup': one of none, lookup is expected; did you mean 'lookup'?");
  CHECK(Failure([] { ParseDurationMs("interval", "1 fortnight"); }).find("'1 fortnight'") !=
        std::string::npos);
  CHECK(!Failure([] { ParseMemoryBytes("size", "9999999999 tb"); }).empty());
  CHECK(!Failure([] { ParseMemoryBytes("size", "mb"); }).empty());
  CHECK(!Failure([] { ParseMemoryBytes("size", "-1"); }).empty());
}

}  // namespace millrace
