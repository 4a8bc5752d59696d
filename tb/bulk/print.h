// SPDX-License-Identifier: Apache-2.0
// Included before Verilator's runtime: what it would print goes to the harness.
#pragma once
#ifdef __cplusplus
extern "C" int sn_print(const char* format, ...) __attribute__((format(printf, 1, 2)));
#define VL_PRINTF sn_print
#define VL_USER_STOP
#define VL_USER_FATAL
#define VL_USER_FINISH
#endif
