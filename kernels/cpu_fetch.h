// cpu_fetch.h - what a thread does while others keep it waiting at a barrier: it asks for the weights that it will read next.
//
// A step of few rows is bound by memory, but between two products come small stages that one thread computes (a norm, quantizing), and at
// each barrier the slower thread is waited for. Meanwhile the memory of those who wait would rest. Their shares of the coming products
// are known, so that they begin to fetch them into their second-level cache.
#ifndef INFER_CPU_FETCH_H
#define INFER_CPU_FETCH_H

#include "cpu_device.h"

struct fetch {
    struct device *device;
    int thread;
    int32_t step, end_step;  // the next step to look at, and the first that is not looked at
    const uint8_t *at, *end; // what is left of the share of a step before
    int64_t room;            // bytes that may still be asked for before they are used
};

void infer_fetch_start(struct fetch *f, struct device *d, int thread, int32_t end_step);

// Steps before this one are done: what was asked for on their account was used.
void infer_fetch_from(struct fetch *f, int32_t step);

// Asks for a few lines; false: there is nothing to ask for.
bool infer_fetch_more(struct fetch *f);

#endif
