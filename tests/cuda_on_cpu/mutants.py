"""Plants one mistake after another into the CUDA device and shows that the proof catches each: test_ops, or test_mixture, on the
interpreter, in its quick form, must fail; without a mistake it passes. A run ends at its first failing test. A mutant that
survives fails this test, and so does one that no longer applies.

usage: mutants.py NVCC BUILD FLAGS [WORD]       only the mutants whose name contains WORD; HB_MUTANTS="8 3": of these every eighth from the third on
       mutants.py --applies                     only whether each still applies"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

if sys.argv[1:] != ["--applies"]:
    NVCC, BUILD, FLAGS = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3].split()
MIXTURE, PRODUCTS, VISION = "kernels/cuda/mixture.cu", "kernels/cuda/products.cu", "kernels/cuda/vision.cu"
ROBOTS, REAL = "kernels/cuda/robots.cu", "kernels/real.h"
NET, SEARCH, DEVICE, HEADER = "kernels/cuda/step.cu", "kernels/cuda/search.cu", "kernels/cuda/device.cu", "kernels/cuda/cuda.h"
EXPAND, LAYOUT, UPDATE, SCALAR = "kernels/cuda/expand.cu", "kernels/cuda/layout.cu", "kernels/update.h", "kernels/scalar.h"
SOURCES = [DEVICE, EXPAND, LAYOUT, MIXTURE, PRODUCTS, ROBOTS, SEARCH, NET, VISION]

TWO_CARDS = {"HB_TWO_CARDS": "1", "HB_CARDS": "9.0 8.6"}
BARRIER = "        __syncthreads();\n"

# name, file, text, replacement, and which occurrence of the text (0: it must be the only one).
MUTANTS = [
    ("the card is not made current", HEADER, "        if (first) hb_cuda_make_current(hb_cuda_device_of(first));\n", "", 0),
    ("cards that cannot be used are dealt out", DEVICE, "const int mine = choice->place % usable;", "const int mine = choice->place % n;", 0),
    ("a shared card is taken whole", DEVICE, "device->sharers = (places - 1 - mine) / usable + 1;", "device->sharers = 1;", 0),
    ("a card too old is used", DEVICE, "return capability >= last;", "return true;", 0),
    ("a synapse's own part dropped", "kernels/ops.h", "return sharing.base.address ? value + hb_floats(sharing.base)[d] : value;", "return value;", 0),
    ("barrier after loading x dropped", NET, BARRIER, "", 1),
    ("barrier before the scale dropped", NET, BARRIER, "", 2),
    ("barrier at a layer's end dropped", NET, BARRIER, "", 3),
    ("barrier of weights' reset dropped", NET, "    if (threadIdx.x == 0) widest = 0;\n    __syncthreads();\n    for", "    if (threadIdx.x == 0) widest = 0;\n    for", 0),
    ("barrier before weights' scaling dropped", NET, "    __syncthreads();\n    if (!net.normalise", "    if (!net.normalise", 0),
    ("one row too many loaded", NET, "if (i0 + k >= view.inputs) break;\n            const", "if (i0 + k > view.inputs) break;\n            const", 0),
    ("one row too many summed", NET, "if (i0 + k >= view.inputs) break;\n            if (planes)", "if (i0 + k > view.inputs) break;\n            if (planes)", 0),
    ("rows of the wrong stride loaded", NET, "const float *row = view.rows + (int64_t)(i0 + k) * view.row;", "const float *row = view.rows + (int64_t)(i0 + k) * view.padded;", 0),
    ("rows of the wrong stride stored", NET, "view.rows[(int64_t)(i0 + k) * view.row + j] = w[k];", "view.rows[(int64_t)(i0 + k) * view.padded + j] = w[k];", 0),
    ("weights never stored", NET, "                view.rows[(int64_t)(i0 + k) * view.row + j] = w[k];\n", "", 0),
    ("planes b and c swapped", NET, "view.padded, rank_b, j)", "view.padded, rank_c, j)", 0),
    ("plane d from plane c", NET, "view.padded, rank_d, j)", "view.padded, rank_c, j)", 0),
    ("pre of this step", NET, "const float pre = view.pre[i0 + k];", "const float pre = view.x[i0 + k];", 0),
    ("post of this step", NET, "learned_from(net, lane, step, net.inputs_at[l + 1] + j) : 0.0f;", "learned_from(net, lane, step + 1, net.inputs_at[l + 1] + j) : 0.0f;", 0),
    ("two roundings in the sum", NET, "sum = hb_fma(w[k], view.x[i0 + k], sum);", "sum = w[k] * view.x[i0 + k] + sum;", 0),
    ("two roundings in the update", UPDATE, "fma(kept, w, fma(b, pre, d)))", "fma(kept, w, (b) * (pre) + (d)))", 0),
    ("scale forgotten", NET, "const float kept = hb_kept(&net.plasticity, view.scale, post);", "const float kept = hb_kept(&net.plasticity, 1.0f, post);", 0),
    ("maximum without atomic", NET, "if (measure) atomicMax(&widest, largest);", "if (measure && largest > widest) widest = largest;", 0),
    ("maximum not reset", NET, "        if (threadIdx.x == 0) widest = 0;\n", "", 0),
    ("scale not kept", NET, "if (threadIdx.x == 0) lane[net.scale + l] = scale;", "if (threadIdx.x == 0) lane[net.scale + l] = 1.0f;", 0),
    ("rows taken for lanes", NET, "row = blockIdx.x, k = lanes[row];", "row = blockIdx.x, k = row;", 0),
    ("halves of the wrong plane", EXPAND, "net.padded[l], rank++, j, plane[p])", "net.padded[l], rank, j, plane[p])", 0),
    ("halves read as floats", HEADER, "return half ? hb_half_value(((const uint16_t *)planes)[at]) : planes[at];", "return planes[at];", 0),
    ("lives of the first chunk again", EXPAND, "{group->birth + k, group->fresh + k,", "{group->birth, group->fresh + k,", 0),
    ("stripes of the first chunk again", EXPAND, "group->stripes + (size_t)k * STRIPES, error);", "group->stripes, error);", 0),
    ("search not waited for", EXPAND, "if (status == HB_OK) status = HB_CUDA(cudaStreamWaitEvent(stream, group->device->searched, 0));", "", 0),
    ("event of the stream that waits", EXPAND, "cudaEventRecord(group->device->searched, group->device->stream)", "cudaEventRecord(group->device->searched, group->stream)", 0),
    ("lives staged over lives in flight", DEVICE, "group->n_expanding > 0 ? cuda_group_wait(group, error) : HB_OK;", "HB_OK;", 0),
    ("lanes staged over lanes in flight", DEVICE, "group->stepping ? cuda_group_wait(group, error) : HB_OK;", "HB_OK;", 0),
    ("wait that does not", DEVICE, "const hb_status status = HB_CUDA(cudaStreamSynchronize(group->stream));\n    if (status == HB_OK) hb_cuda_expanded(group);", "const hb_status status = HB_OK;\n    if (status == HB_OK) hb_cuda_expanded(group);", 0),
    ("graph of another count", DEVICE, "last.count == count && last.observation", "last.observation", 0),
    ("graph of another buffer", DEVICE, " && last.action == action;", ";", 0),
    ("theta where the genome belongs", EXPAND, "hb_cuda_numbers(genome, h + chunk.theta, counter,", "hb_cuda_numbers(genome, h, counter,", 0),
    ("rules not spread", EXPAND, "if (status == HB_OK && chunk.theta > 0) {", "if (false) {", 0),
    ("steps not counted", NET, "steps[k] = step + 1;", "steps[k] = step;", 0),
    ("put: an update to make up for", NET, "if (status == HB_OK && net.planes) // without planes no update is pending", "if (false)", 0),
    ("put: scale of the weights before", NET, "        status =\n            HB_CUDA(cudaMemcpyAsync(memory + net.scale, ones, layers * sizeof *ones, cudaMemcpyHostToDevice, stream));", "        status = HB_OK;", 0),
    ("put: rows of another pitch", NET, "cudaMemcpy2DAsync(memory + net.rows[l], row,", "cudaMemcpy2DAsync(memory + net.rows[l], (size_t)net.padded[l] * sizeof *w,", 0),
    ("put: output of the step before", NET, "hb_cuda_activations(net, steps - 1);\n    status =", "hb_cuda_activations(net, steps - 2);\n    status =", 0),
    ("put: the gate, too", NET, "y, (size_t)net.actions * sizeof *y", "y, (size_t)net.outputs[net.n_layers - 1] * sizeof *y", 0),
    ("post not squared", NET, "    if (net.squares_post) post *= post;\n", "", 0),
    ("weights: post not squared", NET, "net.squares_post ? post * post : post", "post", 0),
    ("average: not divided", NET, "return sum / (float)n;", "return sum;", 0),
    ("average: divided by all of its length", NET, "return sum / (float)n;", "return sum / (float)(net.history - 1);", 0),
    ("average: a step too few", NET, "for (int32_t k = 2; k <= n; k++) sum", "for (int32_t k = 2; k < n; k++) sum", 0),
    ("average: oldest first", NET, "sum += lane[hb_cuda_activations(net, step - k) + at];", "sum = lane[hb_cuda_activations(net, step - k) + at] + (k == 2 ? 0.0f : sum) + (k == n ? lane[hb_cuda_activations(net, step - 1) + at] : 0.0f);", 0),
    ("every: a step early", UPDATE, "(step - 1) % p->every == 0", "step % p->every == 0", 0),
    ("every: never again", UPDATE, "(step - 1) % p->every == 0", "step == 1", 0),
    ("every: scale of between lost", NET, "update ? hb_layer_scale(widest) : lane[net.scale + l];", "update ? hb_layer_scale(widest) : 1.0f;", 0),
    ("decay: nothing decays", UPDATE, "const float kept = 1.0f - p->decay;", "const float kept = 1.0f;", 0),
    ("decay: to 0", UPDATE, "+= p->decay * w;", "+= 0.0f;", 0),
    ("decay: its pull modulated", UPDATE, "has >> HB_PLANE_BIRTH & 1u ? HB_PLANE_BIRTH : HB_PLANE_D", "HB_PLANE_D", 0),
    ("Oja: post not squared", UPDATE, "hb_fma(-p->oja * post, post, kept)", "hb_fma(-p->oja, post, kept)", 0),
    ("Oja: scale forgotten", UPDATE, "scale * hb_fma(-p->oja * post, post, kept)", "hb_fma(-p->oja * post, post, kept)", 0),
    ("Oja: it grows", UPDATE, "hb_fma(-p->oja * post, post, kept)", "hb_fma(p->oja * post, post, kept)", 0),
    ("traces: not kept", UPDATE, "change = *trace = hb_fma", "change = hb_fma", 0),
    ("traces: for ever", UPDATE, "hb_fma(p->trace, *trace, change);", "*trace + change;", 0),
    ("traces: of the life before", EXPAND, "                behind[j] = 0.0f;\n", "", 0),
    ("traces: in the planes", LAYOUT, "(net->plasticity.trace > 0 ? 2 : 1)", "1", 0),
    ("modulator: reward of the lane", NET, "net.takes_reward ? reward[row] : 0.0f;", "net.takes_reward ? reward[k] : 0.0f;", 0),
    ("modulator: reward not sent", DEVICE, "if (status == HB_OK && group->layout.takes_reward)", "if (false)", 0),
    ("modulator: graph of other rewards", DEVICE, "last.reward == reward &&", "", 0),
    ("modulator: gate of this step", NET, "const float gate = last[", "const float gate = now[", 0),
    ("modulator: the first output", NET, "const float gate = last[net.inputs_at[net.n_layers] + net.outputs[net.n_layers - 1] - 1];", "const float gate = last[net.inputs_at[net.n_layers]];", 0),
    ("modulator: left out", UPDATE, "HB_PLASTIC_GATED(hb_fma, w, kept, m, change,", "HB_PLASTIC_GATED(hb_fma, w, kept, 1.0f, change,", 0),
    ("the gate among the actions", NET, "action[row * net.actions + j]", "action[row * (net.actions + 1) + j]", 0),
    ("bias: not in later layers", NET, "    if (net.bias && threadIdx.x == 0) y[net.outputs[l]] = 1.0f;\n", "", 0),
    ("bias: not in the first layer", NET, "    if (net.bias && threadIdx.x == 0) now[net.own + net.n_own + net.sees_reward] = 1.0f;\n", "", 0),
    ("bias: no room for it", LAYOUT, "hb_cuda_up_to(layer->outputs + net->bias, 8)", "n->padded[l]", 0),
    ("reward not seen", NET, "    if (net.sees_reward && threadIdx.x == 0) now[net.own + net.n_own] = earned;\n", "", 0),
    ("gradient: noise not squared", SEARCH, "SQUARES ? normal[part] * normal[part] : normal[part]", "normal[part]", 0),
    ("sample: one deviation for all", HEADER, "spread ? genome.sigma * spread[at] : genome.sigma;", "genome.sigma;", 0),
    ("sample: spread of the number before", HEADER, "genome.sigma * spread[at]", "genome.sigma * spread[at > 0 ? at - 1 : 0]", 0),
    ("product of parts as a sum", "kernels/ops.h", "sharing.product ? value * part : value + part", "value + part", 0),
    ("mixture: samples made while the last ones are read", MIXTURE, "    __syncthreads(); // all threads are done with the last batch\n", "", 0),
    ("mixture: samples read before they are there", MIXTURE, "            });\n    }\n    __syncthreads();\n    for (uint32_t begin = 0, end;", "            });\n    }\n    for (uint32_t begin = 0, end;", 0),
    ("mixture: queue filled while it is read", MIXTURE, "        __syncthreads(); // all threads have read the queue\n", "", 0),
    ("mixture: queue read before it is filled", MIXTURE, "            });\n        __syncthreads();\n        const uint32_t n", "            });\n        const uint32_t n", 0),
    ("mixture: queue filled beyond its end", MIXTURE, "if (at >= QUEUE) return;", "if (at > QUEUE) return;", 0),
    ("mixture: what the queue cannot hold is lost", MIXTURE, "for (uint32_t from = 0; from < all; from += QUEUE) {", "for (uint32_t from = 0; from < all && from < QUEUE; from += QUEUE) {", 0),
    ("mixture: samples in the order of threads", MIXTURE, "before += t < threadIdx.x ? b->live[t] : 0;", "before += t > threadIdx.x ? b->live[t] : 0;", 0),
    ("mixture: dense samples after all others", MIXTURE, "end < count && b->live[end] != RUNS_DENSE; end++", "end < count && (b->live[end] != RUNS_DENSE || end + 1 < count); end++", 0),
    ("mixture: lists that do not reach", MIXTURE, " || !(radius2 <= v.lists.radius2)) return false;", ") return false;", 0),
    ("mixture: a shell too few", MIXTURE, "shell_of(radius2, v.lists.radius2) + 1];", "shell_of(radius2, v.lists.radius2)];", 0),
    ("mixture: alone too soon", MIXTURE, "if (radius2 < v.lists.second[chosen]) return true;", "if (0.01f * radius2 < v.lists.second[chosen]) return true;", 0),
    ("mixture: the nearest rule not looked for", MIXTURE, "if (j != k) atomicMax", "if (j < 0) atomicMax", 0),
    ("mixture: lists that are too long kept in part", MIXTURE, "all <= (uint32_t)most ? in_shell[threadIdx.x] : 0;", "all <= (uint32_t)most || threadIdx.x == 0 ? in_shell[threadIdx.x] : 0;", 0),
    ("mixture: places not reserved", MIXTURE, "near[atomicAdd(place + shell_of(distance, radius2), 1ull)]", "near[place[shell_of(distance, radius2)]++]", 0),
    ("mixture: shells of the rule before", MIXTURE, "place[e] = all;\n        all += count;", "all += count;\n        place[e] = all;", 0),
    ("mixture: offsets gone before they are read", MIXTURE, "    if (status == HB_OK) status = HB_CUDA(cudaStreamSynchronize(stream)); // `place` must live until the copy is done\n", "", 0),
    ("mixture: sums without atomic", MIXTURE, "atomicAdd(v.sums + (int64_t)k * c_all + c, (unsigned long long)hb_mixture_integer(term));", "v.sums[(int64_t)k * c_all + c] += (unsigned long long)hb_mixture_integer(term);", 0),
    ("mixture: the sum of weights not reset", MIXTURE, "    if (threadIdx.x == 0) *sum = 0;\n    __syncthreads();\n    int64_t mine", "    int64_t mine", 0),
    ("mixture: cut on the wrong side", MIXTURE, "const float w = below >= -v.cut ?", "const float w = below <= -v.cut ?", 0),
    ("mixture: the last rule never chosen", MIXTURE, "high = mixture.n_rules - 1;", "high = mixture.n_rules - 2;", 0),
    ("mixture: stretch too short", MIXTURE, "length = (n + HB_CUDA_THREADS - 1) / HB_CUDA_THREADS, first", "length = n / HB_CUDA_THREADS, first", 0),
    ("mixture: G of the row before kept", MIXTURE, "        for (int32_t k = threadIdx.x; k < m; k += HB_CUDA_THREADS) g[k] = 0.0f;\n", "", 0),
    ("mixture: a thread of each rule", MIXTURE, "if (k % HB_CUDA_THREADS == threadIdx.x && b->r[e]", "if (k == threadIdx.x && b->r[e]", 0),
    ("mixture: the first rules only", MIXTURE, "for (int32_t k = threadIdx.x; k < v.mixture.n_rules; k += HB_CUDA_THREADS) {\n        const float r =", "for (int32_t k = threadIdx.x; k < v.mixture.n_rules && k < HB_CUDA_THREADS; k += HB_CUDA_THREADS) {\n        const float r =", 0),
    ("mixture: no number goes unseen", MIXTURE, "if (*sum == 0 && threadIdx.x == 0) atomicMax", "if (*sum == 1 && threadIdx.x == 0) atomicMax", 0),
    ("mixture: rows of the first blocks only", MIXTURE, "for (int64_t i = begin + blockIdx.x; i < end; i += gridDim.x) {\n        const float *lambda", "for (int64_t i = begin + blockIdx.x; i < end && i < begin + gridDim.x; i += gridDim.x) {\n        const float *lambda", 0),
    ("mixture: norms read early", MIXTURE, "    shared->norms[threadIdx.x] = norm;\n    __syncthreads();\n", "    shared->norms[threadIdx.x] = norm;\n", 0),
    ("mixture: one block's scratch for all", MIXTURE, "float *weight = v.rows + (int64_t)blockIdx.x * 2 * m", "float *weight = v.rows", 0),
    ("actions shifted", NET, "action[row * net.actions + j] =", "action[row * net.actions + j + 1] =", 0),
    ("shared memory too small", NET, "const size_t shared = 2 * (size_t)width * sizeof(float);", "const size_t shared = (size_t)width * sizeof(float);", 0),
    ("lanes overlap", NET, "float *lane = memory + k * net.lane;", "float *lane = memory + k * (net.lane - 8);", 0),
    ("columns counted without padding", EXPAND, "j = (int32_t)((t - first) % net.padded[l]);", "j = (int32_t)((t - first) % net.outputs[l]);", 0),
    ("first scale 0", EXPAND, "lane[at] = at >= net.scale ? 1.0f : 0.0f;", "lane[at] = 0.0f;", 0),
    ("activations not cleared", EXPAND, "if (t >= first && t - first < net.look - net.activations) {", "if (t > first && t - first < 8) {", 0),
    ("stripes overlap", EXPAND, "for (int64_t d = threadIdx.x; d < n; d += STRIPES)", "for (int64_t d = 0; d < n; d += STRIPES)", 0),
    ("one zero too many in sparse", EXPAND, "return smaller < hb_sparse_zeros(outputs);", "return smaller <= hb_sparse_zeros(outputs);", 0),
    ("uniform of half the width", SCALAR, "hb_fma(u, 2.0f * s, -s)", "hb_fma(u, s, -s)", 0),
    ("weights updated before the first step", NET, "hb_updates_before(&net.plasticity, *steps)", "(*steps == 0 || hb_updates_before(&net.plasticity, *steps))", 0),
    ("weights always scaled", NET, "if (!net.normalise || !net.planes) return;", "if (!net.planes) return;", 0),
    ("noise of the wrong order", HEADER, "part * 16 + counter % 16", "part * 8 + counter % 16", 0),
    ("gradient writes beyond its end", SEARCH, "if (d < end) g[d] = sum[part];", "if (d <= end) g[d] = sum[part];", 0),
    ("gradient of one individual", SEARCH, "        noise.individual = (uint32_t)k;\n", "", 0),
    ("sample writes beyond its end", HEADER, "if (d >= end) continue;", "if (d > end) continue;", 0),
    ("Adam's moments swapped", UPDATE, "hb_fma(p->beta2, *v,", "hb_fma(p->beta1, *v,", 0),
    ("Adam without correction", UPDATE, "*m * p->correction1 /", "*m /", 0),
    ("SGD from the start", SEARCH, "const size_t d = begin + (size_t)blockIdx.x * HB_CUDA_THREADS + threadIdx.x;", "const size_t d = (size_t)blockIdx.x * HB_CUDA_THREADS + threadIdx.x;", 1),
    ("weights read before they are there", NET, "return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(group->stream)) : status;", "return status;", 2),
    ("download not waited for", DEVICE, "HB_CUDA(cudaMemcpyAsync(to, from.address, n * sizeof(float), cudaMemcpyDeviceToHost, device->stream));\n    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;", "HB_CUDA(cudaMemcpyAsync(to, from.address, n * sizeof(float), cudaMemcpyDeviceToHost, device->stream));\n    return status;", 0),
    ("scratch never grows", DEVICE, "if (bytes > device->scratch_bytes) {", "if (bytes > device->scratch_bytes && !device->scratch) {", 0),
    ("lstm: the biases' inputs dropped", NET, "    if (threadIdx.x < net.own) now[threadIdx.x] = 1.0f;\n", "", 0),
    ("lstm: h read before it is there", NET, "net.sees_reward] = 1.0f;\n    __syncthreads();\n", "net.sees_reward] = 1.0f;\n", 0),
    ("lstm: c forgotten", NET, "        y[net.units + j] = c;\n", "", 0),
    ("lstm: c for h", NET, "= last[net.inputs_at[1] + j];", "= last[net.inputs_at[1] + net.units + j];", 0),
    ("lstm: gates of all layers", NET, "j < net.units && l == 0;", "j < net.units;", 0),
    ("vision: features in place of the biases' inputs", VISION, "steps[k]) + net.own + e] =", "steps[k]) + e] =", 0),
    ("vision: rows pooled that are too near", VISION, "down = c.stride * c.width", "down = c.width", 0),
    ("vision: pooled in another order", VISION, "hb_larger(hb_larger(z[0], z[2]), hb_larger(z[1], z[3]))", "hb_larger(hb_larger(z[0], z[2]), z[1])", 0),
    ("vision: two roundings", VISION, "z[3] = hb_fma(*weight, input_of(x, at + down + c.stride), z[3]);", "z[3] = *weight * input_of(x, at + down + c.stride) + z[3];", 0),
    ("vision: the first convolution's weights again", VISION, "lane + net.look + c.offset, e)", "lane + net.look, e)", 0),
    ("vision: features of the step before", VISION, "hb_cuda_activations(net, steps[k])", "hb_cuda_activations(net, steps[k] + 1)", 0),
    ("vision: a picture of another row", VISION, "bytes + row * net.words * 4,", "bytes,", 0),
    ("vision: a map too few", VISION, "return c.maps * c.rows * c.columns;", "return (c.maps - 1) * c.rows * c.columns;", 0),
    ("vision: weights of the wrong place in the genome", VISION, "net.genome_size - net.vision.n_weights + e", "e", 0),
    ("vision: draws of each life", VISION, "    fixed.generation = fixed.individual = fixed.episode = 0;\n", "", 0),
    ("vision: lane of the first row", VISION, "(int64_t)lanes[row] * net.lane", "(int64_t)lanes[0] * net.lane", 0),
    ("products: z gone before it is read", PRODUCTS, "                  \"product by a vector\", error);\n    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;", "                  \"product by a vector\", error);\n    return status;", 0),
    ("products: action read early", PRODUCTS, "cudaMemcpyDeviceToHost, device->stream));\n    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;", "cudaMemcpyDeviceToHost, device->stream));\n    return status;", 0),
    ("products: all lanes have the first one's weights", PRODUCTS, "layer.outputs, net->n_weights, x,", "layer.outputs, 0, x,", 0),
    ("products: buffers overlap", PRODUCTS, "float *y = x + lanes * widest;", "float *y = x + widest;", 0),
    ("products: the last layer's input as action", PRODUCTS, "HB_CUDA(cudaMemcpyAsync(action, x,", "HB_CUDA(cudaMemcpyAsync(action, y,", 0),
    ("group too small", DEVICE, "HB_CUDA(cudaMalloc((void **)&group->memory, n * lane * sizeof(float)))", "HB_CUDA(cudaMalloc((void **)&group->memory, (n - 1) * lane * sizeof(float)))", 0),
    ("robots of other calls moved, too", ROBOTS, "    if (robot >= end) return;\n", "", 0),
    ("robots from the first on", ROBOTS, "const int32_t robot = begin + (int32_t)", "const int32_t robot = (int32_t)", 0),
    ("arrays of the range's length", ROBOTS, "arrays[k] = state[(int64_t)k * n + robot];", "arrays[k] = state[(int64_t)k * end + robot];", 0),
    ("robots written one array late", ROBOTS, "state[(int64_t)k * n + robot] = arrays[k];", "state[(int64_t)(k + 1) * n + robot] = arrays[k];", 0),
    ("the last array not written", ROBOTS, "for (int32_t k = 0; k < ARRAYS; k++) state", "for (int32_t k = 0; k + 1 < ARRAYS; k++) state", 0),
    ("robots not looked at", ROBOTS, "    rigid_look(model, &s, &w);\n", "", 0),
    ("robots one step short", ROBOTS, "rigid_step(model, &s, &w, steps);", "rigid_step(model, &s, &w, steps - 1);", 0),
    ("a block too few", ROBOTS, "hb_cuda_blocks(end - begin)", "hb_cuda_blocks(end - begin - HB_CUDA_THREADS)", 0),
    ("the model read before it is there", ROBOTS, "cudaMemcpyAsync(on_device, model, sizeof *model, cudaMemcpyHostToDevice, device->stream)", "cudaMemcpyAsync(on_device, model, sizeof *model, cudaMemcpyHostToDevice, 0)", 0),
    ("half the model", ROBOTS, "cudaMemcpyAsync(on_device, model, sizeof *model,", "cudaMemcpyAsync(on_device, model, sizeof *model / 2,", 0),
    ("robots not waited for", ROBOTS, "return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;", "return status;", 0),
    ("robots of any shape", ROBOTS, "if (model->chains != CHAINS || model->links != LINKS)", "if (model->links != LINKS)", 0),
    ("a difference rounded twice", REAL, "return real_fma(-a, b, c);", "return c - a * b;", 0),
]


def mutated(source, text, replacement, occurrence):
    count = source.count(text)
    if occurrence == 0:
        assert count == 1, f"{count} occurrences of {text!r}"
        return source.replace(text, replacement)
    assert count >= occurrence, f"{count} occurrences of {text!r}"
    parts = source.split(text)
    return text.join(parts[:occurrence]) + replacement + text.join(parts[occurrence:])


def link_line(test):
    """How the build links a test program, from its own description."""
    commands = subprocess.run(["ninja", "-C", str(BUILD), "-t", "commands", f"tests/{test}"], capture_output=True,
                              text=True, check=True).stdout
    line = commands.strip().splitlines()[-1]
    return line[line.index("&&") + 2 : line.rindex("&&")].split()


def uses(source, header):
    """Does a source include the header, directly or by another one of ours?"""
    seen, todo = set(), [source]
    while todo:
        path = todo.pop()
        for included in re.findall(r'#include "([^"]+)"', pathlib.Path(path).read_text()):
            if included == header:
                return True
            if included not in seen and pathlib.Path(included).exists():
                seen.add(included)
                todo.append(included)
    return False


def build(folder, path, text):
    """The object of the mutated source; of a mutated header the objects of every source that uses it, before the real one."""
    source = pathlib.Path(folder) / path
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text)
    sources = [str(source)] if path.endswith(".cu") else [s for s in SOURCES if uses(s, path)]
    objects = {}
    for name in sources:
        stem = pathlib.Path(name).stem
        objects[stem] = f"{folder}/{stem}.o"
        done = subprocess.run([NVCC, *FLAGS, "-I", folder, "-I", ".", "-c", name, "-o", objects[stem]],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr[:300])
    return objects


def caught(mutant):
    name, path, text, replacement, occurrence = mutant
    with tempfile.TemporaryDirectory() as folder:
        try:
            objects = build(folder, path, mutated(pathlib.Path(path).read_text(), text, replacement, occurrence))
        except (AssertionError, RuntimeError) as error:
            return name, f"DOES NOT APPLY: {error}"
        test = "test_mixture_cuda" if path == MIXTURE else "test_ops_cuda"
        command = link_line(test)
        program = folder + "/mutant"
        command[command.index("-o") + 1] = program
        others = [f"tests/{pathlib.Path(p).stem}_ptx.o" for p in SOURCES if pathlib.Path(p).stem not in objects]
        command = [c for c in command if "libcuda_on_cpu" not in c]
        executor = [str(p) for p in (BUILD / "tests/CMakeFiles/cuda_on_cpu.dir").rglob("*.c.o")]
        subprocess.run(command + [*objects.values()] + others + executor + ["-lm"], cwd=BUILD, check=True,
                       capture_output=True)
        try:
            run = subprocess.run([program], env={**os.environ, **(TWO_CARDS if "card" in name else {}), "HB_QUICK": "1", "CMOCKA_TEST_ABORT": "1"},
                                 capture_output=True, text=True, timeout=LIMIT[test])
        except subprocess.TimeoutExpired:
            return name, "caught: does not end"
        if run.returncode == 0:
            return name, "SURVIVED"
        reason = [l for l in run.stderr.splitlines() if l.startswith(("ptx:", "cuda on cpu:", "cublas on cpu:"))]
        return name, "caught: " + (reason[-1] if reason else "results differ")


LIMIT = {}  # seconds after which a mutant counts as one that does not end, from the run without a mistake


def applies():
    bad = 0
    for name, path, text, replacement, occurrence in MUTANTS:
        try:
            mutated(pathlib.Path(path).read_text(), text, replacement, occurrence)
        except AssertionError as error:
            print(f"{name}: does not apply: {path}: {error}")
            bad += 1
    sys.exit(1 if bad else 0)


def main():
    if sys.argv[1] == "--applies":
        applies()
    for test in ("test_ops_cuda", "test_mixture_cuda"):
        begun = time.monotonic()
        clean = subprocess.run([str(BUILD / "tests" / test)], env={**os.environ, "HB_QUICK": "1"}, capture_output=True)
        if clean.returncode != 0:
            sys.exit(f"{test}: the device without a mistake fails, too")
        LIMIT[test] = 20 + 6 * (time.monotonic() - begun)
    every, first = (int(n) for n in os.environ.get("HB_MUTANTS", "1 0").split()) # of how many one, beginning with which
    chosen = [m for m in MUTANTS[first % every::every] if len(sys.argv) < 5 or sys.argv[4] in m[0]]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, verdict in pool.map(caught, chosen):
            print(f"{name:40s} {verdict[:150]}", flush=True)
            bad += not verdict.startswith("caught")
    print(f"{len(chosen) - bad} of {len(chosen)} mutants caught")
    sys.exit(1 if bad else 0)


main()
