// Sagas with the npm package @kowalski21/restate-saga, as its README says.
import http2 from "node:http2";

import { StepResponse, createSagaStep, createSagaWorkflow } from "@kowalski21/restate-saga";
import * as restate from "@restatedev/restate-sdk";

// Node has it from version 22 on, and the SDK asks for it when it serves.
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
};

const compensate = async () => {};

const act = createSagaStep({
  name: "Step",
  run: async ({ input }) => new StepResponse(input, input),
  compensate,
});

const decline = createSagaStep({
  name: "Step",
  run: async ({ input }) => {
    throw new restate.TerminalError(`step ${input} is declined`, { errorCode: 409 });
  },
  compensate,
});

const workflow = createSagaWorkflow(process.env.RESAGA_BENCH_SERVICE, async (saga, work) => {
  let done = 0;
  for (let number = 0; number < work.steps; number++) {
    const last = work.fails && number === work.steps - 1;
    done += await (last ? decline : act)(saga, number);
  }
  return done;
});

// What listen() does, on this machine only.
http2
  .createServer(restate.endpoint().bind(workflow).http2Handler())
  .listen(Number(process.env.PORT), "127.0.0.1");
