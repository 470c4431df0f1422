// nested_value.h - LIST, ARRAY, STRUCT and MAP values as bytes, for keys, state rows and
// checkpoints.
//
// [1 byte: 0 null, 1 value] then: fixed-width values little-endian, strings and lists with a u32
// length, structs member after member. Equal values have equal bytes. Not for hot paths: goes
// through Value.
#pragma once

#include "base/duck.h"

namespace millrace {

std::string EncodeNested(const Value& value);
Value DecodeNested(const string_t& bytes, const LogicalType& type);
int CompareNested(const string_t& a, const string_t& b, const LogicalType& type);

}  // namespace millrace
