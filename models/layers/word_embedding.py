"""Word vectors for language models, and the loss of next-word prediction."""

import math

import keras
from keras import layers, ops

_LOW = -1e9


@keras.saving.register_keras_serializable(package="modelyard")
class WordEmbedding(layers.Embedding):
    """An embedding that can also predict words, with dropout of whole words.

    Input: int32 `(batch, time)`, where 0 is masked; output: `(batch, time, dim)`.
    With `reverse=True`, input `(batch, time, dim)` and output
    `(batch, time, input_dim)`: logits of the words.

    Args:
        input_dim: Number of token ids.
        output_dim: Size of the vectors.
        word_dropout: Share of the vocabulary whose vectors are set to zero in a
            training batch; the others are scaled up.
        decoder: How to predict words: `"tied"` with the word vectors, `"own"` with a
            separate matrix (as in some older files), None if the layer does not.
        seed: Seed of `word_dropout`.

    Reference:
        [Gal and Ghahramani, 2016](https://arxiv.org/abs/1512.05287),
        [Press and Wolf, 2017](https://arxiv.org/abs/1608.05859) (tied)
    """

    def __init__(
        self,
        input_dim,
        output_dim,
        *,
        word_dropout=0.0,
        decoder=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(input_dim, output_dim, mask_zero=True, **_own(kwargs))
        self.word_dropout = word_dropout
        self.decoder = decoder
        self.seed = seed
        if word_dropout > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape=None):
        """Creates the vectors and the weights of the decoder."""
        super().build(input_shape)
        if self.decoder == "own":
            self.output_vectors = self.add_weight(
                name="output_vectors",
                shape=(self.input_dim, self.output_dim),
                initializer="glorot_uniform",
            )
        if self.decoder:
            self.output_bias = self.add_weight(
                name="output_bias", shape=(self.input_dim,), initializer="zeros"
            )

    def call(self, inputs, *, reverse=False, training=False):
        """Looks up words, or predicts them with `reverse=True`."""
        if reverse:
            rows = ops.cast(self.predicting_vectors, inputs.dtype)
            return ops.matmul(inputs, ops.transpose(rows)) + ops.cast(
                self.output_bias, inputs.dtype
            )
        vectors = super().call(inputs)
        if training and self.word_dropout > 0:
            kept = keras.random.dropout(
                ops.ones((self.input_dim, 1)),
                self.word_dropout,
                seed=self.seed_generator,
            )
            vectors = vectors * ops.cast(ops.take(kept, inputs, axis=0), vectors.dtype)
        return vectors

    @property
    def predicting_vectors(self):
        """The matrix `(input_dim, output_dim)` of the decoder."""
        return self.output_vectors if self.decoder == "own" else self.embeddings

    def compute_mask(self, inputs, mask=None):
        """Returns the mask of the output; predictions keep the mask of the input."""
        if len(inputs.shape) == 3:
            return mask
        return super().compute_mask(inputs)

    def compute_output_spec(self, inputs, *, reverse=False, training=False):
        """Returns the shape and dtype of the output."""
        size = (self.input_dim,) if reverse else (self.output_dim,)
        shape = inputs.shape[:-1] if reverse else inputs.shape
        return keras.KerasTensor((*shape, *size), dtype=self.compute_dtype)

    def save_own_variables(self, store):
        """Saves all variables; `Embedding` would save only the vectors."""
        layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        """Loads the variables that `save_own_variables` saved."""
        layers.Layer.load_own_variables(self, store)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "word_dropout": self.word_dropout,
            "decoder": self.decoder,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="modelyard")
class NextWordLoss(layers.Layer):
    """Adds the mean cross-entropy of next-word prediction to the model's losses.

    Input: `[states, tokens]`, of shapes `(batch, time, dim)` and int32
    `(batch, time)`; output: the mean, shape `(1,)`.

    With `num_sampled`, training uses a sampled softmax: each next word competes with
    that many words, drawn once per batch from a log-uniform distribution (token ids
    are sorted by frequency) and corrected for their probability. Evaluation always
    uses the whole vocabulary.

    Args:
        embedding: The `WordEmbedding` that predicts.
        num_sampled: Words drawn per training batch, or None for the full softmax.
        seed: Seed of the sampling.

    Reference:
        [Jean et al., 2015](https://arxiv.org/abs/1412.2007)
    """

    def __init__(self, embedding, *, num_sampled=None, seed=None, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.embedding = embedding
        self.num_sampled = num_sampled
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs, *, training=False):
        """Computes the loss of predicting each next word."""
        states, tokens = inputs
        dim = states.shape[-1]
        targets = ops.reshape(tokens[:, 1:], (-1,))
        states = ops.reshape(states[:, :-1], (-1, dim))
        rows, bias = self.embedding.predicting_vectors, self.embedding.output_bias
        if training and self.num_sampled:
            losses = self._sampled(states, targets, rows, bias)
        else:
            logits = ops.matmul(states, ops.transpose(rows)) + bias
            losses = -ops.take_along_axis(
                ops.log_softmax(logits), targets[:, None], axis=-1
            )
            losses = losses[:, 0]
        is_word = ops.cast(targets > 0, "float32")
        mean = ops.sum(losses * is_word) / ops.maximum(ops.sum(is_word), 1)
        self.add_loss(mean)
        return ops.reshape(mean, (1,))

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        return (1,)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "embedding": keras.saving.serialize_keras_object(self.embedding),
            "num_sampled": self.num_sampled,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        """Creates the layer; Keras resolves the embedding to the model's own layer."""
        embedding = keras.saving.deserialize_keras_object(config["embedding"])
        return cls(**{**config, "embedding": embedding})

    def _sampled(self, states, targets, rows, bias):
        """Cross-entropy of each target among itself and the words drawn."""
        size = math.log(self.embedding.input_dim + 1)
        uniform = keras.random.uniform((self.num_sampled,), seed=self.seed_generator)
        drawn = ops.cast(ops.exp(uniform * size), "int32") - 1
        drawn = ops.minimum(drawn, self.embedding.input_dim - 1)

        # Subtracting the log of the expected count makes the sum over the drawn words
        # an unbiased estimate of the sum over all words except the target.
        share = ops.log1p(1 / (ops.cast(drawn, "float32") + 1)) / size
        correction = ops.log(share * self.num_sampled)
        own = ops.sum(states * ops.take(rows, targets, axis=0), axis=-1)
        own = own + ops.take(bias, targets, axis=0)
        others = ops.matmul(states, ops.transpose(ops.take(rows, drawn, axis=0)))
        others = others + ops.take(bias, drawn, axis=0) - correction
        # A drawn word that equals the target must not compete with it.
        others = ops.where(targets[:, None] == drawn, _LOW, others)
        logits = ops.concatenate([own[:, None], others], axis=-1)
        return ops.logsumexp(logits, axis=-1) - own


def _own(kwargs):
    """The arguments without `mask_zero`, which is always True here."""
    return {key: value for key, value in kwargs.items() if key != "mask_zero"}
