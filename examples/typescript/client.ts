// A client of the sagas when they were TypeScript. They are Python now, and it has not changed.
import * as clients from "@restatedev/restate-sdk-clients";
import type { CheckoutWorkflow, Wallet } from "./definitions";

async function main(url: string) {
  const restate = clients.connect({ url });

  const wallet = restate.objectClient<Wallet>({ name: "Wallet" }, "anna");
  await wallet.topUp({ amountInCents: 10000 });
  console.log("balance:", await wallet.getBalance());

  const checkout = restate.serviceClient<CheckoutWorkflow>({ name: "CheckoutWorkflow" });
  const receipt = await checkout.run({ productId: "teapot", quantity: 2, amountInCents: 5000 });
  console.log(`reservation ${receipt.reservationId}, paid ${receipt.paidInCents}`);

  try {
    await checkout.run({ productId: "teapot", quantity: 2, amountInCents: 500000 });
  } catch (error) {
    if (!(error instanceof clients.HttpCallError)) throw error;
    console.log(error.status, JSON.parse(error.responseText).message);
  }
}

void main(process.argv[2]);
