import { Graph } from "./graph.js";
import { serve } from "./server.js";

const port = Number(process.env["PORT"] ?? 8080);
serve(new Graph()).listen(port, "127.0.0.1", () => console.log(`listening on ${port}`));
