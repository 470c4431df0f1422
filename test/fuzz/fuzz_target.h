// fuzz_target.h - what the targets of this folder share.
//
// A target is one file: the entry that libFuzzer calls with bytes, and valid inputs to begin with,
// made by our own writers. Whatever the bytes are, the answer is a value or an Error: anything else
// (a crash, a hang, another exception, memory beyond all measure) is a bug of the decoder.
#pragma once

#include "base/error.h"

namespace millrace {

/// Valid inputs. Each target has its own.
std::vector<std::string> FuzzSeeds();

/// Damaged bytes may be told so.
template <typename Body>
void AllowErrors(Body decode) {
  try {
    decode();
  } catch (const Error&) {
    // As good an answer as a value.
  }
}

inline std::string_view FuzzBytes(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// What a decoder takes for whole, its encoder writes so that it is the same again.
template <typename Value, typename Encode, typename Decode>
void CheckRoundTrip(const Value& value, Encode encode, Decode decode) {
  MILLRACE_CHECK(decode(encode(value)) == value);
}
/// The same for rows, in which NULL is the same as NULL.
template <typename Encode, typename Decode>
void CheckRowRoundTrip(const std::vector<duckdb::Value>& row, Encode encode, Decode decode) {
  std::vector<duckdb::Value> again = decode(encode(row));
  MILLRACE_CHECK(std::equal(again.begin(), again.end(), row.begin(), row.end(),
                            duckdb::Value::NotDistinctFrom));
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
