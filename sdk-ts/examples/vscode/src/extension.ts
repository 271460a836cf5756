// Where the editor begins: hands its module over, so that everything else can be tested without it.

import * as vscode from "vscode";
import { RemoteMachine } from "./remote_machine.js";

/** Called by the editor. */
export function activate(context: vscode.ExtensionContext): void {
  const machine = new RemoteMachine(vscode, context);
  context.subscriptions.push(machine);
  void machine.showFolders();
}

/** Called by the editor; what there is to end is among the subscriptions. */
export function deactivate(): void {}
