"""The models that come with the package (`load`, `read_zoo`), adding one, and taking one that was made elsewhere."""

from crack_tf.models.shipped import load as load
from crack_tf.models.shipped import read_zoo as read_zoo
