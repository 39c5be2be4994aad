// The work of every kind of step for one instruction set: included inside its namespace, behind its own operations.
#include "finish.hpp"

#include "product.hpp"

#include "channelwise.hpp"

#include "sparse_planes.hpp"

#include "sparse_rows.hpp"

#include "maxpool.hpp"

#include "concat.hpp"

#ifdef PCNN_FOURS
enum { FOURS = 1 };
#else
enum { FOURS = 0 };
#endif

extern const Set SET;
const Set SET = {NAME,   supported, LANES, ROWS,    BLOCKS,      Bytes::CELL,   STEP_COST,   FRACTION, FOURS != 0,
                 EXCESS, put,       place, product, channelwise, sparse_planes, sparse_rows, max_pool, concat};
