"""What losses make of targets, class weights and the network's last layers."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from nnctl.core.errors import DataError
from nnctl.nn import activations, compose, dense, dropout, rectifiers  # noqa: F401 - importing a family registers it
from nnctl.nn.layer import Layer, ShapeError
from nnctl.nn.losses import Loss, fuse


def encoded(spelling, y, outputs):
    return Loss.parse(spelling).encode(np.asarray(y), outputs, np.float32)


def test_labels_become_one_hot_rows():
    t = encoded("cross_entropy", [2, 0], 3)
    assert t.dtype == np.float32
    np.testing.assert_array_equal(t, [[0, 0, 1], [1, 0, 0]])


def test_smoothing_spreads_its_share_over_all_classes():
    t = encoded({"cross_entropy": {"label_smoothing": 0.3}}, [2, 0], 3)
    np.testing.assert_allclose(t, [[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]], rtol=1e-6)
    t = encoded({"binary_cross_entropy": {"label_smoothing": 0.2}}, [0, 1], 1)
    np.testing.assert_allclose(t, [[0.1], [0.9]], rtol=1e-6)


@pytest.mark.parametrize("name", ["hinge", "perceptron"])
def test_margins_have_signs_for_two_classes_and_one_hot_rows_for_more(name):
    np.testing.assert_array_equal(encoded(name, [0, 1, 1], 1), [[-1], [1], [1]])
    np.testing.assert_array_equal(encoded(name, [0, 2], 3), [[1, 0, 0], [0, 0, 1]])


def test_booleans_are_labels():
    np.testing.assert_array_equal(encoded("binary_cross_entropy", [False, True], 1), [[0], [1]])


def test_soft_labels_pass_through():
    soft = [[0.25, 0.75], [1.0, 0.0]]
    np.testing.assert_array_equal(encoded({"cross_entropy": {"label_smoothing": 0.3}}, soft, 2), soft)
    np.testing.assert_array_equal(encoded("binary_cross_entropy", [[0.25], [1.0]], 1), [[0.25], [1.0]])


def test_regression_targets_become_columns():
    np.testing.assert_array_equal(encoded("mse", [1.5, 2], 1), [[1.5], [2]])
    assert encoded("mse", [[1, 2], [3, 4]], 2).dtype == np.float32


@pytest.mark.parametrize(
    ("spelling", "y", "outputs", "said"),
    [
        ("cross_entropy", [0, 3], 3, "class indices must be 0 to 2. Got 3 in row 1"),
        ("cross_entropy", [-1, 0], 3, "class indices must be 0 to 2. Got -1 in row 0"),
        ("binary_cross_entropy", [0, 2], 1, "class indices must be 0 to 1. Got 2 in row 1"),
        ("cross_entropy", [0.5, 1.0], 3, "must be class indices. Got float64"),
        ("cross_entropy", ["a", "b"], 3, "must be class indices"),
        ("cross_entropy", [[0.5, 0.4]], 2, "sum to 1. Row 0 does not"),
        ("cross_entropy", [[1.5, -0.5]], 2, "must be >= 0"),
        ("cross_entropy", [[np.nan, 0.5]], 2, "sum to 1"),
        ("cross_entropy", [0, 1], 1, "one output cannot tell classes apart"),
        ("binary_cross_entropy", [[1.2]], 1, "from 0 to 1. Row 0 is not"),
        ("hinge", [[0.5, 0.2, 0.2]], 3, "must be >= 0 and sum to 1. Row 0 does not"),
        ("perceptron", [[1.2]], 1, "from -1 to 1. Row 0 is not"),
        ("mse", [[1.0, 2.0]], 1, r"1 output\(s\), the targets have shape \(1, 2\)"),
    ],
)
def test_targets_that_do_not_fit_are_refused(spelling, y, outputs, said):
    with pytest.raises(DataError, match=said):
        encoded(spelling, y, outputs)


@pytest.mark.parametrize(
    ("name", "classes", "width"),
    [
        ("cross_entropy", 2, 2),
        ("cross_entropy", 7, 7),
        ("binary_cross_entropy", 2, 1),
        ("hinge", 2, 1),
        ("hinge", 7, 7),
        ("perceptron", 2, 1),
        ("perceptron", 7, 7),
        ("mse", None, 3),
        ("mae", None, 3),
        ("huber", None, 3),
    ],
)
def test_the_width_of_the_last_layer_follows_from_data_and_loss(name, classes, width):
    assert Loss.parse(name).outputs(classes, 3) == width


@pytest.mark.parametrize(
    ("spelling", "classes", "said"),
    [
        ("binary_cross_entropy", 3, "there are 3. Use cross_entropy."),
        ("cross_entropy", None, "the target is a number. Use mse."),
        ({"cross_entropy": {"class_weight": [1.0, 2.0]}}, 3, "each of the 3 classes. Got 2."),
    ],
)
def test_a_loss_that_does_not_fit_the_data_is_refused(spelling, classes, said):
    with pytest.raises(ValueError, match=said):
        Loss.parse(spelling).outputs(classes, 1)


def test_one_score_is_class_one_where_positive_and_of_several_the_highest_wins():
    np.testing.assert_array_equal(Loss.parse("perceptron").labels(np.array([[-1.0], [0.0], [2.0]])), [0, 0, 1])
    np.testing.assert_array_equal(Loss.parse("cross_entropy").labels(np.array([[0.0, 3.0, 1.0]])), [1])
    with pytest.raises(TypeError, match="has no classes"):
        Loss.parse("mse").labels(np.zeros((1, 1)))


def test_equal_weights_are_none():
    y = np.array([0, 1, 1])
    assert Loss.parse("cross_entropy").weights(y, None, np.float32) is None
    assert Loss.parse("mse").weights(y, np.full(3, 2.5), np.float32) is None
    assert Loss.parse({"hinge": {"class_weight": [2.0, 2.0]}}).weights(y, None, np.float32) is None


def test_weights_are_scaled_to_mean_one():
    w = Loss.parse("mse").weights(np.zeros(3), np.array([1.0, 2.0, 6.0]), np.float32)
    assert w.dtype == np.float32
    np.testing.assert_allclose(w, [1 / 3, 2 / 3, 2])


def test_balanced_weights_equal_scikit_learns():
    y = np.random.default_rng(0).choice(4, 300, p=[0.1, 0.2, 0.3, 0.4])
    loss = Loss.parse({"cross_entropy": {"class_weight": "balanced"}})
    settled = loss.settled(y).class_weight
    np.testing.assert_allclose(
        [settled[k] for k in range(4)], compute_class_weight("balanced", classes=np.arange(4), y=y)
    )
    w = loss.weights(y, None, np.float64)
    np.testing.assert_allclose(w, compute_sample_weight("balanced", y))
    np.testing.assert_allclose(np.bincount(y, w), 75)


def test_settled_weights_are_those_of_the_training_set_on_every_split():
    train, validation = np.array([0, 0, 0, 1]), np.array([0, 1])
    loss = Loss.parse({"cross_entropy": {"class_weight": "balanced"}}).settled(train)
    w = loss.weights(validation, None, np.float64)
    np.testing.assert_allclose(w, [0.5, 1.5])
    assert loss.settled(validation) is loss


def test_class_weights_go_by_the_names_of_the_classes():
    loss = Loss.parse({"cross_entropy": {"class_weight": {"lynx": 4.0}}})
    y = np.array([0, 1, 1, 1])
    assert loss.settled(y, ("cat", "lynx")).class_weight == (1.0, 4.0)
    with pytest.raises(ValueError, match=r"names 'lynx', which is no class\. Classes: cat, dog"):
        loss.settled(y, ("cat", "dog"))


def test_class_weights_multiply_sample_weights():
    loss = Loss.parse({"cross_entropy": {"class_weight": {"1": 3.0}}})
    w = loss.weights(np.array([0, 1, 2]), np.array([1.0, 1.0, 2.0]), np.float64)
    np.testing.assert_allclose(w, np.array([1, 3, 2]) / 2)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0, -2.0], "must be finite and >= 0. Got -2 in row 1"),
        ([np.nan, np.inf], "Got nan in row 0 and 1 more"),
        ([0.0, 0.0], "all weights are zero"),
        ([1.0], r"one per row is needed, 2 in all. Got shape \(1,\)"),
    ],
)
def test_bad_sample_weights_are_refused(weights, said):
    with pytest.raises(DataError, match=said):
        Loss.parse("mse").weights(np.zeros(2), np.array(weights), np.float32)


def test_class_weights_need_class_indices():
    with pytest.raises(DataError, match="class_weight needs class indices"):
        Loss.parse({"cross_entropy": {"class_weight": "balanced"}}).settled(np.array([[0.5, 0.5]]))


def test_the_perceptron_loss_is_rosenblatts_rule_update_by_update():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(40, 2)), np.ones((40, 1))])
    y = (X @ [1.0, -2.0, 0.3] > 0).astype(int)
    loss = Loss.parse("perceptron")
    t = loss.encode(y, 1, np.float64)
    w, classical, updates = np.zeros(3), np.zeros(3), 0
    for x, target, sign in zip(np.tile(X, (3, 1)), np.tile(t, (3, 1)), np.tile(2 * y - 1, 3), strict=True):
        dz = np.empty((1, 1))
        loss.gradient(np.array([[x @ w]]), target[None], None, 1, dz)
        w = w - 0.5 * dz[0, 0] * x
        if sign * (x @ classical) <= 0:
            classical = classical + 0.5 * sign * x
            updates += 1
        np.testing.assert_array_equal(w, classical)
    assert updates > 3


def test_a_tie_of_several_classes_is_a_mistake_too():
    loss = Loss.parse("perceptron")
    dz = np.empty((1, 3))
    loss.gradient(np.zeros((1, 3)), np.array([[0.0, 1.0, 0.0]]), None, 1, dz)
    np.testing.assert_array_equal(dz, [[1, -1, 0]])


def layers(*spellings):
    return tuple(Layer.parse(s) for s in spellings)


@pytest.mark.parametrize(
    ("loss", "last"),
    [("cross_entropy", "softmax"), ("binary_cross_entropy", "sigmoid")],
)
def test_a_loss_takes_over_its_own_output_activation(loss, last):
    assert fuse(Loss.parse(loss), layers({"dense": 3}, last)) == layers({"dense": 3})
    nested = layers({"sequential": {"layers": [{"dense": 3}, last]}})
    assert fuse(Loss.parse(loss), nested) == layers({"sequential": {"layers": [{"dense": 3}]}})


@pytest.mark.parametrize(
    ("loss", "last"),
    [
        ("cross_entropy", {"dense": 3}),
        ("cross_entropy", "linear"),
        ("mse", "sigmoid"),
        ("mse", "softmax"),
        ("mae", "relu"),
        ("hinge", "tanh"),
        ("cross_entropy", {"residual": {"layers": [{"dense": 3}, "relu"]}}),
        ("cross_entropy", {"repeat": {"layers": ["relu", {"dense": 3}]}}),
    ],
    ids=str,
)
def test_a_network_that_fits_its_loss_is_left_alone(loss, last):
    network = layers({"dense": 3}, last)
    assert fuse(Loss.parse(loss), network) == network


def test_a_network_without_layers_is_left_alone():
    assert fuse(Loss.parse("cross_entropy"), ()) == ()


@pytest.mark.parametrize(
    ("loss", "last", "path", "said"),
    [
        (
            "cross_entropy",
            "relu",
            (1, "relu"),
            "relu at the end .* brings its own softmax. Leave it out, or write softmax",
        ),
        ("cross_entropy", "sigmoid", (1, "sigmoid"), "write softmax"),
        ("cross_entropy", "tanh", (1, "tanh"), "works on logits"),
        ("cross_entropy", {"leaky_relu": 0.1}, (1, "leaky_relu"), "leaky_relu at the end"),
        ("binary_cross_entropy", "softmax", (1, "softmax"), "write sigmoid"),
        ("binary_cross_entropy", "relu", (1, "relu"), "write sigmoid"),
        ("binary_cross_entropy", "tanh", (1, "tanh"), "write sigmoid"),
        ("hinge", "softmax", (1, "softmax"), "raw scores.*Leave it out, or use cross_entropy"),
        ("hinge", "sigmoid", (1, "sigmoid"), "raw scores"),
        ("perceptron", "softmax", (1, "softmax"), "raw scores"),
        ("perceptron", "sigmoid", (1, "sigmoid"), "raw scores"),
        (
            "cross_entropy",
            {"sequential": {"layers": [{"dense": 3}, "relu"]}},
            (1, "sequential", "layers", 1, "relu"),
            "relu at the end",
        ),
        ("cross_entropy", {"repeat": {"layers": [{"dense": 3}, "relu"]}}, (1, "repeat"), "relu at the end"),
        (
            "cross_entropy",
            {"repeat": {"layers": [{"dense": 3}, "softmax"]}},
            (1, "repeat"),
            r"own softmax\. Leave it out\. The layer before the loss is 'dense: outputs'\.$",
        ),
    ],
    ids=str,
)
def test_a_mismatched_pair_is_refused_with_the_place_and_the_reason(loss, last, path, said):
    with pytest.raises(ShapeError, match=said) as caught:
        fuse(Loss.parse(loss), layers({"dense": 3}, last))
    assert caught.value.path == path


@pytest.mark.parametrize("name", Loss.members())
def test_a_loss_says_its_formulas_its_shapes_and_its_source(name):
    member = Loss.members()[name]
    for word in ("forward:", "backward:", "Shapes:", "Source:"):
        assert word in member.__doc__
    assert set(member.field_docs()) == set(member.model_fields)
    assert Loss.parse(member().spelled()) == member()


@pytest.mark.parametrize("word", Loss.synonyms)
def test_a_synonym_leads_to_a_loss_that_is_there(word):
    assert word not in Loss.members()
    assert Loss.synonyms[word] in Loss.members()
